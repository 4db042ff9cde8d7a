-- Revert shop:prices from pg

BEGIN;

ALTER TABLE app.goods DROP COLUMN price;

COMMIT;
