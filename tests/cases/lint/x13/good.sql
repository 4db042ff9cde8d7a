CREATE TABLE fresh (a int);
CREATE POLICY p ON fresh USING (a = 1);
ALTER TABLE fresh OWNER TO app;
