DROP TABLE studios;
