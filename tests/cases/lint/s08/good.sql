CREATE TABLE orders (number int, id int NOT NULL);
-- file: 2
ALTER TABLE orders ADD PRIMARY KEY (id);
ALTER TABLE elsewhere ADD PRIMARY KEY (id);
