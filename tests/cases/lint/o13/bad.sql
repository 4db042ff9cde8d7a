CREATE TABLE orders (id serial PRIMARY KEY); -- !
CREATE TABLE lines (
    id int GENERATED ALWAYS AS IDENTITY, -- !
    PRIMARY KEY (id)
);
