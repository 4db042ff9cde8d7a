CREATE TYPE brand AS ENUM ('acme', 'globex', 'initech');
CREATE TABLE docs (id int PRIMARY KEY, brand brand NOT NULL, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO app_user USING (brand = nullif(current_setting('app.brand', true), '')::brand);
GRANT SELECT ON docs TO app_user;
