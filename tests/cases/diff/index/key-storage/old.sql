CREATE TABLE kept (id int CONSTRAINT kept_pkey PRIMARY KEY, code text, CONSTRAINT kept_code_key UNIQUE (code) WITH (fillfactor = 50));
CREATE TABLE plain (id int, code text);
