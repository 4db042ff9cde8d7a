CREATE SCHEMA "We""ird Schema"; GRANT USAGE ON SCHEMA "We""ird Schema" TO app_user;
CREATE TABLE "We""ird Schema"."Or der" ("select" int PRIMARY KEY, "Tenant Id" int NOT NULL, "from'to" text, "%s" text);
ALTER TABLE "We""ird Schema"."Or der" ENABLE ROW LEVEL SECURITY;

CREATE POLICY "p;--" ON "We""ird Schema"."Or der" TO app_user USING ("Tenant Id" = nullif(current_setting('app.tenant_id', true), '')::int);
CREATE VIEW "We""ird Schema"."V%I"  AS SELECT "select", "%s" FROM "We""ird Schema"."Or der";
GRANT SELECT ON "We""ird Schema"."Or der", "We""ird Schema"."V%I" TO app_user;
