-- Verify shop:goods on pg

BEGIN;

SELECT id, name FROM app.goods WHERE FALSE;

ROLLBACK;
