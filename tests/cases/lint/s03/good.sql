ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;
CREATE TABLE fresh (customer_id int);
ALTER TABLE fresh ADD FOREIGN KEY (customer_id) REFERENCES customers (id);
