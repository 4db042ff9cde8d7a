-- What sqlx leaves after two migrations.
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) VALUES
    (1, 'users', '2026-01-05 10:00:00+00', true, '\x067c6ac74ded28985e092c83a8ae4fe2d3fd2d8c2aa427ba42fe24780bfe3cf5ce30b7f0b93bbc18cd9d211796f288a1', 4150000),
    (2, 'user names', '2026-01-06 10:00:00+00', true, '\x75ef4e8a9757b4ab03c11cb12e148b7ed99e003982bb0c7ffdedeed89eeec328871ef9ca92c3904f7e8ee6ad4f09ddad', 1730000);
