-- the event triggers that schema changes fire, by name
SELECT
  'note' AS weight,
  format('event trigger %I', trigger.evtname) AS object,
  format('fires on %s and runs %s', trigger.evtevent, trigger.evtfoid::regproc) AS words
FROM pg_catalog.pg_event_trigger AS trigger
WHERE trigger.evtenabled <> 'D'
ORDER BY 2
