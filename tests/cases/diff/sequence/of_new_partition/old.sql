CREATE TABLE visit (id serial, site text);
CREATE TABLE visit_a (id serial, site text);
