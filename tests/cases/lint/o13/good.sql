CREATE TABLE orders (id bigserial PRIMARY KEY);
CREATE TABLE kinds (id int PRIMARY KEY);
