-- Subscriptions of this database without their connection strings, one row each; readable by superusers only.
SELECT
  'subscription' AS kind,
  s.tableoid AS class,
  s.oid,
  s.subname::text AS name,
  pg_catalog.pg_get_userbyid(s.subowner)::text AS owner,
  CASE WHEN s.subenabled THEN 't' END AS enabled,
  pg_catalog.regexp_replace(s.subconninfo, '(password|passfile|sslpassword)\s*=\s*(''([^'']|'''')*''|\S+)', '\1=(not read)', 'gi') AS connection,
  s.subslotname::text AS slot_name,
  s.subsynccommit AS synchronous_commit,
  CASE WHEN s.subbinary THEN 't' END AS binary,
  CASE pg_catalog.to_jsonb(s) ->> 'substream' WHEN 't' THEN 'on' WHEN 'true' THEN 'on' WHEN 'p' THEN 'parallel' END AS streaming,
  CASE WHEN pg_catalog.to_jsonb(s) ->> 'subtwophasestate' <> 'd' THEN 't' END AS two_phase,
  CASE WHEN pg_catalog.to_jsonb(s) ->> 'subdisableonerr' = 'true' THEN 't' END AS disable_on_error,
  CASE WHEN pg_catalog.to_jsonb(s) ->> 'subpasswordrequired' = 'false' THEN 'false' END AS password_required,
  CASE WHEN pg_catalog.to_jsonb(s) ->> 'subrunasowner' = 'true' THEN 't' END AS run_as_owner,
  CASE WHEN pg_catalog.to_jsonb(s) ->> 'subfailover' = 'true' THEN 't' END AS failover,
  NULLIF(pg_catalog.to_jsonb(s) ->> 'suborigin', 'any') AS origin,
  (SELECT pg_catalog.array_agg(pg_catalog.quote_ident(p) ORDER BY o) FROM pg_catalog.unnest(s.subpublications) WITH ORDINALITY AS u (p, o)) AS publications
FROM pg_catalog.pg_subscription AS s
WHERE s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
