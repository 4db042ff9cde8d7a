-- What plans are made of, for every pair of which a plan is made, approved and run.
--
-- {T} is the table that a shape is about, {O} the other one, {s} their schema, {n} what the objects of the table are
-- called after, {k} a number that tells the first shape of a pair from the second. `becomes` is what the table is called
-- afterwards, `moves` what their schema is called, `alone` says that no transaction can hold the shape.
-- shape: base
CREATE TABLE {s}.{n} (id int PRIMARY KEY, a text, n int, b_id int CONSTRAINT {n}_b REFERENCES {s}.b);
CREATE INDEX {n}_a ON {s}.{n} (a);
ALTER TABLE {s}.{n} ENABLE ROW LEVEL SECURITY;
CREATE POLICY {n}_p ON {s}.{n} USING (n > 0);
CREATE FUNCTION {s}.{n}_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {s}.log VALUES (TG_OP);
    RETURN NULL;
END $$;
CREATE TRIGGER {n}_tr AFTER UPDATE OR DELETE ON {s}.{n} FOR EACH ROW EXECUTE FUNCTION {s}.{n}_log();
CREATE VIEW {s}.{n}_v AS SELECT id, a FROM {s}.{n};
CREATE MATERIALIZED VIEW {s}.{n}_mv AS SELECT id, a FROM {s}.{n};
CREATE TABLE {s}.{n}_parts (id int, n int) PARTITION BY RANGE (id);
CREATE TABLE {s}.{n}_part PARTITION OF {s}.{n}_parts FOR VALUES FROM (0) TO (100);
CREATE TABLE {s}.{n}_loose (id int, n int);
CREATE FUNCTION {s}.{n}_f(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x + 1';
CREATE TYPE {s}.{n}_mood AS ENUM ('low', 'high');
-- shape: fill
INSERT INTO {s}.{n} VALUES (1, 'x', 1, 1), (2, 'y', 2, NULL);
INSERT INTO {s}.{n}_parts VALUES (1, 1);
INSERT INTO {s}.{n}_loose VALUES (101, 1);
-- shape: create-table
CREATE TABLE {s}.{n}_new{k} (id int PRIMARY KEY, t_id int REFERENCES {T});
CREATE INDEX ON {s}.{n}_new{k} (t_id);
-- shape: create-table-if-it-is-missing
CREATE TABLE IF NOT EXISTS {T} (id int);
CREATE TABLE IF NOT EXISTS {s}.{n}_maybe (id int);
-- shape: create-table-as
CREATE TABLE {s}.{n}_copy{k} AS SELECT * FROM {T};
-- shape: add-column
ALTER TABLE {T} ADD COLUMN c{k} text;
-- shape: add-column-and-fill
ALTER TABLE {T} ADD COLUMN d{k} text;
UPDATE {T} SET d{k} = a;
ALTER TABLE {T} ALTER d{k} SET NOT NULL;
-- shape: rewrite-column
ALTER TABLE {T} ALTER n TYPE bigint;
-- shape: set-not-null
ALTER TABLE {T} ALTER a SET NOT NULL;
-- shape: drop-column
ALTER TABLE {T} DROP COLUMN n CASCADE;
-- shape: rename-column
ALTER TABLE {T} RENAME n TO n{k};
-- shape: create-index
CREATE INDEX {n}_i{k} ON {T} (n, a);
-- shape: create-index-concurrently alone
CREATE INDEX CONCURRENTLY {n}_c{k} ON {T} (n);
-- shape: drop-index
DROP INDEX {s}.{n}_a;
-- shape: drop-index-concurrently alone
DROP INDEX CONCURRENTLY {s}.{n}_a;
-- shape: reindex alone
REINDEX TABLE CONCURRENTLY {T};
-- shape: reindex-in-a-transaction
REINDEX TABLE {T};
-- shape: add-unique
ALTER TABLE {T} ADD CONSTRAINT {n}_un{k} UNIQUE (a);
-- shape: add-foreign-key
ALTER TABLE {T} ADD CONSTRAINT {n}_fk{k} FOREIGN KEY (n) REFERENCES {O} NOT VALID;
-- shape: validate-foreign-key
ALTER TABLE {T} ADD CONSTRAINT {n}_vk{k} FOREIGN KEY (b_id) REFERENCES {s}.b NOT VALID;
ALTER TABLE {T} VALIDATE CONSTRAINT {n}_vk{k};
-- shape: drop-foreign-key
ALTER TABLE {T} DROP CONSTRAINT {n}_b;
-- shape: add-check
ALTER TABLE {T} ADD CONSTRAINT {n}_ck{k} CHECK (id > 0);
-- shape: create-policy
CREATE POLICY {n}_p{k} ON {T} FOR SELECT USING (a IS NOT NULL);
-- shape: drop-policy
DROP POLICY {n}_p ON {T};
-- shape: disable-rls
ALTER TABLE {T} DISABLE ROW LEVEL SECURITY;
-- shape: drop-table
DROP TABLE {T} CASCADE;
-- shape: drop-and-create
DROP TABLE {T} CASCADE;
CREATE TABLE {s}.{n} (id int PRIMARY KEY, a text NOT NULL DEFAULT 'x', n int, b_id int REFERENCES {s}.b);
-- shape: rename-table becomes={s}.{n}_is
ALTER TABLE {T} RENAME TO {n}_is;
-- shape: set-schema becomes={s}_side.{n}
CREATE SCHEMA IF NOT EXISTS {s}_side;
ALTER TABLE {T} SET SCHEMA {s}_side;
-- shape: rename-schema moves={s}_moved
ALTER SCHEMA {s} RENAME TO {s}_moved;
-- shape: swap-names
ALTER TABLE {T} RENAME TO {n}_swap;
ALTER TABLE {O} RENAME TO {n};
ALTER TABLE {s}.{n}_swap RENAME TO {o};
-- shape: replace-by-a-copy
CREATE TABLE {s}.{n}_next{k} (LIKE {T} INCLUDING ALL);
INSERT INTO {s}.{n}_next{k} SELECT * FROM {T};
DROP TABLE {T} CASCADE;
ALTER TABLE {s}.{n}_next{k} RENAME TO {n};
-- shape: grant
GRANT SELECT ON {T} TO PUBLIC;
-- shape: revoke
REVOKE ALL ON {T} FROM PUBLIC;
-- shape: create-trigger
CREATE FUNCTION {s}.{n}_touch{k}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.a := 'x'; RETURN NEW; END $$;
CREATE TRIGGER {n}_touch{k} BEFORE INSERT OR UPDATE ON {T} FOR EACH ROW EXECUTE FUNCTION {s}.{n}_touch{k}();
-- shape: drop-trigger
DROP TRIGGER {n}_tr ON {T};
-- shape: disable-trigger
ALTER TABLE {T} DISABLE TRIGGER {n}_tr;
-- shape: create-view
CREATE VIEW {s}.{n}_view{k} AS SELECT * FROM {T};
-- shape: replace-view
CREATE OR REPLACE VIEW {s}.{n}_v AS SELECT id, a, 1 AS one FROM {T};
-- shape: drop-view
DROP VIEW {s}.{n}_v;
-- shape: create-materialized-view
CREATE MATERIALIZED VIEW {s}.{n}_m{k} AS SELECT id FROM {T};
CREATE UNIQUE INDEX ON {s}.{n}_m{k} (id);
-- shape: refresh-materialized-view
REFRESH MATERIALIZED VIEW {s}.{n}_mv;
-- shape: create-function
CREATE FUNCTION {s}.{n}_sum{k}() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM {T}';
-- shape: replace-function
CREATE OR REPLACE FUNCTION {s}.{n}_f(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x + 2';
-- shape: drop-function
DROP FUNCTION {s}.{n}_f(int);
-- shape: index-by-function
CREATE INDEX {n}_fi{k} ON {T} ({s}.{n}_f(id));
-- shape: create-type
CREATE TYPE {s}.{n}_kind{k} AS ENUM ('a', 'b');
ALTER TABLE {T} ADD COLUMN k{k} {s}.{n}_kind{k} DEFAULT 'a';
-- shape: add-to-type
ALTER TYPE {s}.{n}_mood ADD VALUE 'mid{k}';
-- shape: attach-partition
ALTER TABLE {s}.{n}_parts ATTACH PARTITION {s}.{n}_loose FOR VALUES FROM (100) TO (200);
-- shape: create-partition
CREATE TABLE {s}.{n}_more{k} PARTITION OF {s}.{n}_parts FOR VALUES FROM ({k}000) TO ({k}999);
-- shape: detach-partition
ALTER TABLE {s}.{n}_parts DETACH PARTITION {s}.{n}_part;
-- shape: alter-partitioned
ALTER TABLE {s}.{n}_parts ADD COLUMN p{k} int;
CREATE INDEX ON {s}.{n}_parts (n);
-- shape: move-between-partitions
CREATE TABLE {s}.{n}_rest{k} PARTITION OF {s}.{n}_parts DEFAULT;
UPDATE {s}.{n}_parts SET id = id + 5000;
-- shape: inherit
CREATE TABLE {s}.{n}_heir{k} () INHERITS ({T});
-- shape: insert
INSERT INTO {T} (id, a) SELECT 10 + {k}, 'z';
-- shape: update
UPDATE {T} SET a = 'w';
-- shape: update-in-a-block
LOCK TABLE {T} IN EXCLUSIVE MODE;
DO $$ BEGIN UPDATE {T} SET a = 'v'; DELETE FROM {T} WHERE id = 2; END $$;
-- shape: delete
DELETE FROM {T} WHERE id > 1;
-- shape: truncate
TRUNCATE {T} CASCADE;
-- shape: vacuum alone
VACUUM {T};
-- shape: cluster
CLUSTER {T} USING {n}_pkey;
-- shape: sequence
CREATE SEQUENCE {s}.{n}_seq{k} OWNED BY {T}.id;
ALTER TABLE {T} ALTER id SET DEFAULT nextval('{s}.{n}_seq{k}');
-- shape: comment
COMMENT ON TABLE {T} IS 'about it';
