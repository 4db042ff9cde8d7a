CREATE TABLE orders (number int, id int NOT NULL);
-- file: 2
ALTER TABLE orders ADD PRIMARY KEY (id, number); -- !
