-- Deploy shop:goods to pg
-- requires: app

BEGIN;

CREATE TABLE app.goods (id bigint PRIMARY KEY, name text NOT NULL);

COMMIT;
