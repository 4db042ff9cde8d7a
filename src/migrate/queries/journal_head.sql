-- one row: the newest link of the chain
SELECT h.id, h.hash
FROM af_db.journal_head AS h
