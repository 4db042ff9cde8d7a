CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE t (a positive);
CREATE TYPE pair AS (a int, b text);
