COPY t FROM PROGRAM 'curl https://example.com/t.csv'; -- !
COPY t TO '/tmp/t.csv'; -- !
SELECT dblink_exec('host=other', 'DELETE FROM t'); -- !
DO $$ BEGIN PERFORM lo_export(1, '/tmp/x'); END $$; -- !
