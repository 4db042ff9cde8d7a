--! Previous: -
--! Hash: sha1:5be0c4f7b75ecbb89f1023a942f254e960433158

CREATE TABLE forums (id serial PRIMARY KEY, slug text NOT NULL);
