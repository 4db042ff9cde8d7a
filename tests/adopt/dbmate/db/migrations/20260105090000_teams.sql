-- migrate:up
CREATE TABLE teams (id bigserial PRIMARY KEY, name text NOT NULL);

-- migrate:down
DROP TABLE teams;
