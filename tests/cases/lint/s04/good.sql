ALTER TABLE orders ADD COLUMN kind_id int REFERENCES kinds (id);
ALTER TABLE orders ADD COLUMN other_id int DEFAULT NULL REFERENCES kinds (id);
