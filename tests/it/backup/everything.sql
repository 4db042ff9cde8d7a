CREATE ROLE app_owner;
CREATE ROLE app_reader;
CREATE ROLE "App Writer" LOGIN;
GRANT app_reader TO "App Writer";
ALTER ROLE app_reader SET statement_timeout TO '5s';
CREATE SCHEMA shop AUTHORIZATION app_owner;
CREATE SCHEMA "Odd ""Schema";
CREATE TYPE shop.mood AS ENUM ('low', 'high');
CREATE DOMAIN shop.positive AS integer CHECK (VALUE > 0);
CREATE TABLE shop.tenants (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL UNIQUE,
  mood shop.mood NOT NULL DEFAULT 'low',
  seen timestamptz NOT NULL DEFAULT now(),
  picture bytea,
  about jsonb,
  upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
  amount numeric(10, 3)
);
ALTER TABLE shop.tenants OWNER TO app_owner;
CREATE TABLE shop.orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES shop.tenants,
  count shop.positive,
  note text
);
CREATE INDEX orders_tenant ON shop.orders (tenant_id);
CREATE TABLE shop.events (at timestamptz NOT NULL, body text) PARTITION BY RANGE (at);
CREATE TABLE shop.events_2025 PARTITION OF shop.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.events_2026 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE shop.hen (id int PRIMARY KEY, egg int);
CREATE TABLE shop.egg (id int PRIMARY KEY, hen int REFERENCES shop.hen DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "Odd ""Schema"."Table, (x)" ("Column (y)" text, "select" int);
CREATE TABLE keyless (a int, b text);
CREATE UNLOGGED TABLE scratchpad (a int);
CREATE TABLE nothing ();
CREATE TABLE empty (a int);
CREATE SEQUENCE shop.tickets START 100;
CREATE VIEW shop.names AS SELECT name FROM shop.tenants;
CREATE MATERIALIZED VIEW shop.counts AS SELECT tenant_id, count(*) AS n FROM shop.orders GROUP BY 1 WITH NO DATA;
CREATE FUNCTION shop.hello() RETURNS text LANGUAGE sql AS $$ SELECT 'hello
-- not a comment' $$;
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := coalesce(NEW.note, ''); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.stamp();
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch_ddl ON ddl_command_start EXECUTE FUNCTION on_ddl();

INSERT INTO shop.tenants (name, mood, seen, picture, about, amount)
SELECT 'tenant ' || n, CASE WHEN n % 2 = 0 THEN 'low' ELSE 'high' END::shop.mood, '2026-01-01 12:00:00+02',
  decode(lpad(to_hex(n), 8, '0'), 'hex'), jsonb_build_object('n', n, 'text', E'tab\t line\n back\\ quote"'), 1.10
FROM generate_series(1, 50) AS n;
INSERT INTO shop.orders (tenant_id, count, note)
SELECT id, n, repeat('x', n) FROM shop.tenants, generate_series(1, 20) AS n;
INSERT INTO shop.events SELECT '2025-06-01'::timestamptz + n * interval '1 day', 'event ' || n FROM generate_series(1, 300) AS n;
INSERT INTO shop.hen VALUES (1, 1), (2, NULL);
INSERT INTO shop.egg VALUES (1, 1);
ALTER TABLE shop.hen ADD FOREIGN KEY (egg) REFERENCES shop.egg;
INSERT INTO "Odd ""Schema"."Table, (x)" VALUES (E'\\.', 1), (NULL, NULL), ('', 2), (E'a\nb', 3);
INSERT INTO keyless SELECT n % 7, 'b' || n % 3 FROM generate_series(1, 1000) AS n;
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
SELECT nextval('shop.tickets'), nextval('shop.tickets');
SELECT lo_from_bytea(70001, 'first large object'), lo_from_bytea(70002, '\x00ff00'), lo_from_bytea(70003, '');
SELECT lo_put(70002, 3000000, 'far away');

ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_orders ON shop.orders FOR SELECT TO app_reader USING (tenant_id::text = current_setting('app.tenant', true));
GRANT USAGE ON SCHEMA shop TO app_reader;
GRANT SELECT ON shop.tenants, shop.orders TO app_reader;
GRANT INSERT (note, tenant_id) ON shop.orders TO "App Writer";
GRANT SELECT ON LARGE OBJECT 70001 TO app_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO app_reader;
COMMENT ON TABLE shop.orders IS 'what was ordered';
COMMENT ON COLUMN shop.orders.note IS 'it''s a note';
CREATE PUBLICATION everything FOR TABLE shop.tenants, shop.orders;

DO $$ BEGIN
  EXECUTE format('ALTER DATABASE %I SET search_path TO shop, "Odd ""Schema", public', current_database());
  EXECUTE format('ALTER DATABASE %I SET "app.tenant" TO %L', current_database(), 'no''body');
  EXECUTE format('ALTER ROLE app_reader IN DATABASE %I SET work_mem TO %L', current_database(), '8MB');
  EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'the shop''s database');
  EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO app_reader', current_database());
END $$;
