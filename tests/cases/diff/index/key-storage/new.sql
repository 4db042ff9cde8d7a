CREATE TABLE kept (id int CONSTRAINT kept_pkey PRIMARY KEY WITH (fillfactor = 70), code text, CONSTRAINT kept_code_key UNIQUE (code));
CREATE TABLE plain (id int, code text, CONSTRAINT plain_pkey PRIMARY KEY (id) WITH (fillfactor = 60, deduplicate_items = off) DEFERRABLE INITIALLY DEFERRED);
