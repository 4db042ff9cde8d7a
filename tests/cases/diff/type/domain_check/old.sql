CREATE DOMAIN amount AS numeric;
CREATE TABLE t (a amount);
