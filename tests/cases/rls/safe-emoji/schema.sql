CREATE SCHEMA "My Schema"; GRANT USAGE ON SCHEMA "My Schema" TO app_user;
CREATE TYPE "My Schema"."Größe" AS ENUM ('kl''ein', 'GR"OSS');
CREATE TABLE "My Schema"."🐘 Elefanten №1" ("ID; DROP" int PRIMARY KEY, "Mandant ☂" int NOT NULL, "O""Brien" text NOT NULL CHECK ("O""Brien" <> ''), "select" "My Schema"."Größe" NOT NULL DEFAULT 'kl''ein');
ALTER TABLE "My Schema"."🐘 Elefanten №1" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "read ✓" ON "My Schema"."🐘 Elefanten №1" FOR SELECT TO app_user USING ("Mandant ☂" = nullif(current_setting('app.mandant', true), '')::int);
CREATE POLICY "löschen" ON "My Schema"."🐘 Elefanten №1" FOR DELETE TO app_user USING ("Mandant ☂" = nullif(current_setting('app.mandant', true), '')::int AND "select" = 'GR"OSS');
GRANT SELECT, DELETE ON "My Schema"."🐘 Elefanten №1" TO app_user;
