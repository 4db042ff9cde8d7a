-- Marks this database as a protected environment. $1 its name, $2 the system identifier, $3 what it requires, $4 its approvers, $5 how many must sign.
INSERT INTO af_db.protection (environment, system_identifier, database_oid, require, approvers, approvals)
SELECT $1::pg_catalog.text, $2::pg_catalog.int8, database.oid, $3::pg_catalog.text[], $4::pg_catalog.text[], $5::pg_catalog.int4
FROM pg_catalog.pg_database AS database
WHERE database.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
ON CONFLICT (environment) DO UPDATE SET
  system_identifier = EXCLUDED.system_identifier,
  database_oid = EXCLUDED.database_oid,
  require = EXCLUDED.require,
  approvers = EXCLUDED.approvers,
  approvals = EXCLUDED.approvals,
  written = EXCLUDED.written
