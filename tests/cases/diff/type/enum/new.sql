CREATE TYPE mood AS ENUM ('low', 'ok', 'happy', 'glad');
CREATE TABLE t (a mood DEFAULT 'ok', b mood[]);
CREATE INDEX ON t (a) WHERE a = 'ok';
CREATE FUNCTION f(m mood) RETURNS mood LANGUAGE sql AS 'SELECT m';
