ALTER TABLE orders ADD COLUMN kind_id int NOT NULL DEFAULT 1 REFERENCES kinds (id); -- !
