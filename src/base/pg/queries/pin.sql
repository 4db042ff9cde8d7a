-- One row: the process that now has our own settings, $1 their names and $2 their values.
SELECT
  pg_catalog.pg_backend_pid() AS backend_pid,
  (
    SELECT pg_catalog.count(pg_catalog.set_config(pin.name, pin.value, false))
    FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS pin (name, value)
  ) AS pinned,
  (
    SELECT pg_catalog.set_config(setting.name, '10s', false)
    FROM pg_catalog.pg_settings AS setting
    WHERE setting.name OPERATOR(pg_catalog.=) 'lock_timeout'
      AND setting.setting::pg_catalog.int8 BETWEEN 1 AND 9999
  ) AS patient
