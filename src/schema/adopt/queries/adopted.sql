-- One row a migration that was taken over from another tool and not reverted by us since: version, name, note.
SELECT DISTINCT ON (j.version)
  j.version,
  j.name,
  j.note
FROM af_db.journal AS j
WHERE j.state OPERATOR(pg_catalog.=) 'baselined' AND j.note OPERATOR(pg_catalog.~~) 'adopted from %'
ORDER BY j.version, j.id DESC
