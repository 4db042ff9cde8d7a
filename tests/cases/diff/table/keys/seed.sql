INSERT INTO customers SELECT n, n || '@example.com', 'x' || n, '2024-01-01' FROM generate_series(1, 100) AS n;
INSERT INTO orders SELECT n, n, 1, 'note' FROM generate_series(1, 100) AS n;
INSERT INTO lines SELECT n, 'a' FROM generate_series(1, 100) AS n;
