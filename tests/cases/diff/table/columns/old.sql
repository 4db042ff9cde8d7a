CREATE TABLE orders (id bigint PRIMARY KEY, total int DEFAULT 0, note text);
