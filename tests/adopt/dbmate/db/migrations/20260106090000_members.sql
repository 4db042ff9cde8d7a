-- migrate:up
CREATE TABLE members (team_id bigint NOT NULL REFERENCES teams (id), email text NOT NULL);

-- migrate:down
DROP TABLE members;
