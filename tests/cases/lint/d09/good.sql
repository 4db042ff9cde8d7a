ALTER SEQUENCE orders_id_seq OWNED BY orders.id;
CREATE SEQUENCE fresh;
ALTER SEQUENCE fresh RESTART;
SELECT setval('fresh', 100);
SELECT setval('orders_id_seq', (SELECT max(id) FROM orders));
