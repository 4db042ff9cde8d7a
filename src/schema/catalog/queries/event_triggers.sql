-- Event triggers, one row each.
SELECT
  'event-trigger' AS kind,
  t.tableoid AS class,
  t.oid,
  t.evtname::text AS name,
  pg_catalog.pg_get_userbyid(t.evtowner)::text AS owner,
  t.evtevent::text AS event,
  t.evttags AS tags,
  t.evtfoid::regproc::text AS function,
  CASE t.evtenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END AS enabled
FROM pg_catalog.pg_event_trigger AS t
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS e WHERE e.classid = t.tableoid AND e.objid = t.oid AND e.deptype = 'e')
