ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email); -- !
ALTER TABLE users ADD PRIMARY KEY (id); -- !
