-- the replication slots that nobody reads, or that have lost what they kept
SELECT
  CASE WHEN slot.wal_status = 'lost' THEN 'blocking' ELSE 'warning' END AS weight,
  format('slot %s', slot.slot_name) AS object,
  format(
    '%s, retains %s of WAL',
    CASE WHEN slot.active THEN COALESCE(slot.wal_status, 'active') ELSE 'inactive' END,
    COALESCE(pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), slot.restart_lsn)), 'nothing')
  ) AS words
FROM pg_catalog.pg_replication_slots AS slot
WHERE NOT slot.active
  OR slot.wal_status IN ('unreserved', 'lost')
ORDER BY 2
