SET LOCAL search_path = app;
SET CONSTRAINTS ALL DEFERRED;
SELECT set_config('search_path', '', true);
