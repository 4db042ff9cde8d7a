-- What Sqitch leaves in its registry after `sqitch deploy --to @v1.0.0`, as far as it matters here.
CREATE SCHEMA sqitch;
CREATE TABLE sqitch.projects (project text PRIMARY KEY, uri text UNIQUE, created_at timestamptz NOT NULL, creator_name text NOT NULL, creator_email text NOT NULL);
CREATE TABLE sqitch.changes (
    change_id text PRIMARY KEY,
    script_hash text,
    change text NOT NULL,
    project text NOT NULL REFERENCES sqitch.projects (project) ON UPDATE CASCADE,
    note text NOT NULL DEFAULT '',
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    committer_name text NOT NULL,
    committer_email text NOT NULL,
    planned_at timestamptz NOT NULL,
    planner_name text NOT NULL,
    planner_email text NOT NULL,
    UNIQUE (project, script_hash)
);
CREATE TABLE sqitch.events (
    event text NOT NULL CHECK (event IN ('deploy', 'revert', 'fail', 'merge')),
    change_id text NOT NULL,
    change text NOT NULL,
    project text NOT NULL REFERENCES sqitch.projects (project) ON UPDATE CASCADE,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (change_id, committed_at)
);
INSERT INTO sqitch.projects VALUES ('shop', NULL, '2026-01-06 10:00:00+00', 'Marge', 'marge@example.com');
INSERT INTO sqitch.changes VALUES
    ('c1', '96f070ca91f20bfa6e83045be00c503b65eb96f6', 'app', 'shop', '', '2026-01-06 10:00:00+00', 'Marge', 'marge@example.com', '2026-01-05 09:00:00+00', 'Marge', 'marge@example.com'),
    ('c2', '8494d5edbd829ac751ec2c239efc5c49ff6f5365', 'goods', 'shop', '', '2026-01-06 10:00:01+00', 'Marge', 'marge@example.com', '2026-01-06 09:00:00+00', 'Marge', 'marge@example.com');
INSERT INTO sqitch.events VALUES
    ('deploy', 'c1', 'app', 'shop', '2026-01-06 10:00:00+00'),
    ('deploy', 'c2', 'goods', 'shop', '2026-01-06 10:00:01+00');
