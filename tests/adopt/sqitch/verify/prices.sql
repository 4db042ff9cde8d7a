-- Verify shop:prices on pg

BEGIN;

SELECT price FROM app.goods WHERE FALSE;

ROLLBACK;
