BEGIN;

-- Running downgrade 0a1b2c3d4e5f -> fbb46e24f152

DROP INDEX projects_owner_idx;

UPDATE alembic_version SET version_num='fbb46e24f152' WHERE alembic_version.version_num = '0a1b2c3d4e5f';

-- Running downgrade fbb46e24f152 -> 93ef741889c5

ALTER TABLE projects DROP COLUMN owner;

UPDATE alembic_version SET version_num='93ef741889c5' WHERE alembic_version.version_num = 'fbb46e24f152';

-- Running downgrade 93ef741889c5 -> 

DROP TABLE projects;

DELETE FROM alembic_version WHERE alembic_version.version_num = '93ef741889c5';

COMMIT;

