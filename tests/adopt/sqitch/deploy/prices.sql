-- Deploy shop:prices to pg
-- requires: goods

BEGIN;

ALTER TABLE app.goods ADD COLUMN price numeric;

COMMIT;
