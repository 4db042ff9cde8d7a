CREATE TABLE docs (account char(5) NOT NULL CHECK (account ~ '^[0-9]{5}$'), n smallint NOT NULL, body text, PRIMARY KEY (account, n));
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (account = current_setting('app.account', true));
GRANT SELECT ON docs TO app_user;
