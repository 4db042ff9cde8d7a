-- What golang-migrate's postgres driver leaves after `migrate up 2`.
CREATE TABLE "public"."schema_migrations" (version bigint not null primary key, dirty boolean not null);
INSERT INTO "public"."schema_migrations" (version, dirty) VALUES (2, false);
