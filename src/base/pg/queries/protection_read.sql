-- One row for each protected environment that was recorded, and whether it is about this very database: the other rows came
-- with a dump or a template. $1 the system identifier, null where it is not known.
SELECT
  marker.environment,
  marker.require,
  marker.approvers,
  marker.approvals,
  marker.database_oid OPERATOR(pg_catalog.=) database.oid
    AND COALESCE(
      marker.system_identifier OPERATOR(pg_catalog.=) $1::pg_catalog.int8,
      -- In doubt it is protected, and not lifted.
      marker.environment OPERATOR(pg_catalog.<>) '' OR (marker.system_identifier IS NULL AND $1::pg_catalog.int8 IS NULL)
    ) AS own
FROM af_db.protection AS marker
CROSS JOIN pg_catalog.pg_database AS database
WHERE database.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
ORDER BY marker.environment
