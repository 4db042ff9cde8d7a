-- What the Supabase CLI leaves after `supabase migration up` of two files.
CREATE SCHEMA IF NOT EXISTS supabase_migrations;
CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations (version text NOT NULL PRIMARY KEY, statements text[], name text);
INSERT INTO supabase_migrations.schema_migrations (version, name, statements) VALUES
    ('20260105090000', 'notes', '{create table public.notes}'),
    ('20260105091500', 'policies', '{create policy own}');
