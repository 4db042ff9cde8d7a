-- What graphile-migrate leaves after two commits.
CREATE SCHEMA graphile_migrate;
CREATE TABLE graphile_migrate.migrations (
    hash text PRIMARY KEY,
    previous_hash text REFERENCES graphile_migrate.migrations,
    filename text NOT NULL,
    date timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE graphile_migrate.current (
    filename text PRIMARY KEY DEFAULT 'current.sql',
    content text NOT NULL,
    date timestamptz NOT NULL DEFAULT now()
);
INSERT INTO graphile_migrate.migrations VALUES
    ('sha1:5be0c4f7b75ecbb89f1023a942f254e960433158', NULL, '000001.sql', '2026-01-05 10:00:00+00'),
    ('sha1:c4b8a472854d231825847e64d6597f4525a83654', 'sha1:5be0c4f7b75ecbb89f1023a942f254e960433158', '000002.sql', '2026-01-06 10:00:00+00');
