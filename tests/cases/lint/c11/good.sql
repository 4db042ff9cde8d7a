CREATE TABLE t (a jsonb, json text);
