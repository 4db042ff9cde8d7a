-- Deploy shop:app to pg

BEGIN;

CREATE SCHEMA app;

COMMIT;
