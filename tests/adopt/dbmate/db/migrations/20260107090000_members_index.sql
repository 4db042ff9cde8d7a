-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY members_team_idx ON members (team_id);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY members_team_idx;
