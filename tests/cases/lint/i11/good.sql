CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers (id));
CREATE INDEX ON orders (customer_id, id);
CREATE TABLE lines (id int PRIMARY KEY REFERENCES orders (id));
CREATE TABLE links (a int REFERENCES x (a), b int REFERENCES y (b), PRIMARY KEY (a, b));
CREATE INDEX ON links (b);
