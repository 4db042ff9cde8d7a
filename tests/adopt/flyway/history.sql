-- What Flyway leaves after two versions.
CREATE TABLE flyway_schema_history (
    installed_rank integer NOT NULL CONSTRAINT flyway_schema_history_pk PRIMARY KEY,
    version varchar(50),
    description varchar(200) NOT NULL,
    type varchar(20) NOT NULL,
    script varchar(1000) NOT NULL,
    checksum integer,
    installed_by varchar(100) NOT NULL,
    installed_on timestamp NOT NULL DEFAULT now(),
    execution_time integer NOT NULL,
    success boolean NOT NULL
);
CREATE INDEX flyway_schema_history_s_idx ON flyway_schema_history (success);
INSERT INTO flyway_schema_history VALUES
    (1, '1', 'items', 'SQL', 'V1__items.sql', -561928818, 'app', '2026-01-05 10:00:00', 12, true),
    (2, '1.1', 'prices', 'SQL', 'V1.1__prices.sql', -466116404, 'app', '2026-01-06 10:00:00', 5, true);
