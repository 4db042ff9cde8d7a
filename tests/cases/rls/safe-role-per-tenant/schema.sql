DO $$ BEGIN CREATE ROLE case_alpha NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE case_beta NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT USAGE ON SCHEMA public TO case_alpha, case_beta;
CREATE TABLE docs (id int PRIMARY KEY, tenant text NOT NULL DEFAULT current_user, body text);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON docs USING (tenant = current_user);
GRANT SELECT, INSERT ON docs TO case_alpha, case_beta;
