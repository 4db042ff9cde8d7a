ALTER TABLE orders ADD COLUMN qty int;
CREATE TABLE fresh (qty int CHECK (qty > 0));
ALTER TABLE fresh ADD COLUMN b int CHECK (b > 0);
