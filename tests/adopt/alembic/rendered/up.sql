BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 93ef741889c5

CREATE TABLE projects (
    id BIGSERIAL NOT NULL, 
    name TEXT NOT NULL, 
    PRIMARY KEY (id)
);

INSERT INTO projects (id, name) VALUES (1, 'it''s ours');

INSERT INTO alembic_version (version_num) VALUES ('93ef741889c5') RETURNING alembic_version.version_num;

-- Running upgrade 93ef741889c5 -> fbb46e24f152

ALTER TABLE projects ADD COLUMN owner TEXT;

UPDATE alembic_version SET version_num='fbb46e24f152' WHERE alembic_version.version_num = '93ef741889c5';

-- Running upgrade fbb46e24f152 -> 0a1b2c3d4e5f

COMMIT;

CREATE INDEX CONCURRENTLY projects_owner_idx ON projects (owner);

BEGIN;

UPDATE alembic_version SET version_num='0a1b2c3d4e5f' WHERE alembic_version.version_num = 'fbb46e24f152';

COMMIT;

