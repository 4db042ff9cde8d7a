-- +goose Up
CREATE TABLE orders (id bigserial PRIMARY KEY, total numeric(12, 2) NOT NULL, touched timestamptz);

-- +goose Down
DROP TABLE orders;
