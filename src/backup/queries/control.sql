-- One row: the cluster's birth number and its timeline.
SELECT
  s.system_identifier::pg_catalog.text AS system_identifier,
  c.timeline_id::pg_catalog.int4 AS timeline
FROM pg_catalog.pg_control_system() AS s
CROSS JOIN pg_catalog.pg_control_checkpoint() AS c
