-- creates the journal: append-only by privilege and by trigger, chained by hash
CREATE SCHEMA IF NOT EXISTS af_db;
COMMENT ON SCHEMA af_db IS 'What af-db has done to this database; services never look here';
CREATE TABLE IF NOT EXISTS af_db.journal (
  id bigint PRIMARY KEY,
  run text NOT NULL,
  version bigint,
  name text,
  state text NOT NULL,
  statement integer,
  up_sha256 text,
  down_sha256 text,
  plan_sha256 text,
  actor text NOT NULL,
  role text NOT NULL,
  host text NOT NULL,
  git_commit text,
  tool text NOT NULL,
  started timestamptz NOT NULL,
  at timestamptz NOT NULL,
  lock_waits integer NOT NULL,
  lsn text,
  error text,
  note text,
  previous text NOT NULL,
  hash text NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_version_idx ON af_db.journal (version, id DESC);
CREATE INDEX IF NOT EXISTS journal_tenant_idx ON af_db.journal ((COALESCE(pg_catalog.substring(run, '/(.*)$'), '')), version, id DESC);
CREATE TABLE IF NOT EXISTS af_db.journal_head (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  id bigint NOT NULL,
  hash text NOT NULL
);
INSERT INTO af_db.journal_head (id, hash) VALUES (0, '') ON CONFLICT DO NOTHING;
COMMENT ON TABLE af_db.journal IS 'One row a step of a run, in order, each holding the hash of the one before';
COMMENT ON TABLE af_db.journal_head IS 'The newest link of the chain, so that a row cut off its end is missed';
CREATE OR REPLACE FUNCTION af_db.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $body$
BEGIN
  RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'insufficient_privilege';
END
$body$;
DROP TRIGGER IF EXISTS append_only ON af_db.journal;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON af_db.journal
  FOR EACH STATEMENT EXECUTE FUNCTION af_db.refuse_change();
REVOKE ALL ON SCHEMA af_db FROM PUBLIC;
REVOKE ALL ON af_db.journal, af_db.journal_head FROM PUBLIC;
REVOKE ALL ON FUNCTION af_db.refuse_change() FROM PUBLIC;
REVOKE UPDATE, DELETE, TRUNCATE ON af_db.journal FROM CURRENT_USER
