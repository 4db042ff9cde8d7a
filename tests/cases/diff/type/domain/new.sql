CREATE DOMAIN positive AS int NOT NULL DEFAULT 1 CONSTRAINT small CHECK (VALUE < 100);
CREATE TABLE t (a positive);
CREATE TYPE pair AS (a bigint, c positive);
