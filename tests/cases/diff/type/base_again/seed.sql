INSERT INTO asked VALUES ('1', '(1,2)');
