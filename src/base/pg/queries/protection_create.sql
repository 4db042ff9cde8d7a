-- creates the table of the marker; every part of it may already be there
CREATE SCHEMA IF NOT EXISTS af_db;
CREATE TABLE IF NOT EXISTS af_db.protection (
  environment text PRIMARY KEY,
  system_identifier bigint,
  database_oid oid NOT NULL,
  require text[] NOT NULL,
  approvers text[] NOT NULL,
  approvals integer,
  written timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE af_db.protection IS 'The protected environments that this database is; a row with another identity came with a dump and counts for nothing; a row without a name says that the protection was lifted'
