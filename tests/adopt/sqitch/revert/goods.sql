-- Revert shop:goods from pg

BEGIN;

DROP TABLE app.goods;

COMMIT;
