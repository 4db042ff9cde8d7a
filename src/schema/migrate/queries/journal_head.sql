-- the newest link of the chain; anything but one row was tampered with
SELECT COALESCE(h.id, 0) AS id, COALESCE(h.hash, '') AS hash
FROM af_db.journal_head AS h
