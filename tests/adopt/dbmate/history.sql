-- What dbmate leaves after two migrations.
CREATE TABLE public.schema_migrations (version character varying PRIMARY KEY);
INSERT INTO public.schema_migrations VALUES ('20260105090000'), ('20260106090000');
