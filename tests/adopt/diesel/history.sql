-- What diesel leaves after two migrations.
CREATE TABLE __diesel_schema_migrations (
    version VARCHAR(50) PRIMARY KEY NOT NULL,
    run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO __diesel_schema_migrations (version, run_on) VALUES
    ('00000000000000', '2026-01-05 10:00:00'),
    ('20260105090000', '2026-01-05 10:00:01');
