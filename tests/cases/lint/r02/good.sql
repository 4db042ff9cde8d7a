ALTER TABLE orders ADD COLUMN a timestamptz DEFAULT now();
ALTER TABLE orders ADD COLUMN b numeric(10, 2) DEFAULT 0::numeric(10, 2) NOT NULL;
ALTER TABLE orders ADD COLUMN c jsonb DEFAULT '{"random()": 1}' NOT NULL;
ALTER TABLE orders ALTER COLUMN d SET DEFAULT gen_random_uuid();
CREATE TABLE fresh (id int);
ALTER TABLE fresh ADD COLUMN token uuid DEFAULT gen_random_uuid();
