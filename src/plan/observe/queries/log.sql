-- Takes what was logged since the last time.
DELETE FROM af_db_observer.log RETURNING what, kind, identity, relation, part, named
