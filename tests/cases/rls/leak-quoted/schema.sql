CREATE SCHEMA "Sales";
GRANT USAGE ON SCHEMA "Sales" TO app_user;
CREATE TABLE "Sales"."Order Lines" ("Id" int PRIMARY KEY, "Tenant" int NOT NULL, "Select" text);
GRANT SELECT ON "Sales"."Order Lines" TO app_user;
