ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid(); -- !
ALTER TABLE orders
    ADD COLUMN a int DEFAULT 0,
    ADD COLUMN b timestamptz NOT NULL DEFAULT clock_timestamp(), -- !
    ADD COLUMN c int DEFAULT nextval('s'::regclass); -- !
