SET search_path = app; -- !
SET SESSION ROLE anon; -- !
SELECT pg_catalog.set_config('search_path', '', false); -- !
