CREATE TABLE projects (
    id BIGSERIAL NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (id)
);
INSERT INTO projects (id, name) VALUES (1, 'it''s ours');
ALTER TABLE projects ADD COLUMN owner TEXT;
