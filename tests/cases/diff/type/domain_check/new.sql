CREATE DOMAIN amount AS numeric CONSTRAINT positive CHECK (VALUE > 0);
CREATE TABLE t (a amount);
