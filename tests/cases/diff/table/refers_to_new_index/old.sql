-- A foreign key stands on a unique index, which is whole once every partition's belongs to it.
CREATE TABLE plain (id int NOT NULL);
CREATE UNIQUE INDEX plain_id ON plain (id);
CREATE TABLE whole (id int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE whole_1 PARTITION OF whole FOR VALUES FROM (1) TO (100);
CREATE TABLE a (id int, CONSTRAINT a_id FOREIGN KEY (id) REFERENCES plain (id));
