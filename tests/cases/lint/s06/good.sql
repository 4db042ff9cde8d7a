ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_idx;
CREATE TABLE fresh (id int);
ALTER TABLE fresh ADD PRIMARY KEY (id);
