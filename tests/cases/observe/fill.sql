INSERT INTO buyers (name, mail) SELECT 'n' || n, 'm' || n || '@x' FROM generate_series(1, 500) AS n;
INSERT INTO sales (buyer_id, code, tag, letters, amount, pieces, made, body, checked, other_id)
SELECT 1 + n % 500, 'c' || n, 't' || n, 'l' || n % 9, n, 1, '2024-01-01'::timestamp + n * interval '1 minute', '{}', 'x', n
FROM generate_series(1, 5000) AS n;
INSERT INTO lines SELECT n, n, 'note' FROM generate_series(1, 2000) AS n;
INSERT INTO things SELECT n, n FROM generate_series(1, 1000) AS n;
INSERT INTO mails SELECT n, 'a@b', 'a@b' FROM generate_series(1, 1000) AS n;
INSERT INTO spans SELECT n, int4range(n, n + 1) FROM generate_series(1, 500) AS n;
INSERT INTO parents SELECT n, 'p' FROM generate_series(1, 500) AS n;
INSERT INTO children SELECT n, 'c', 'm' FROM generate_series(1, 500) AS n;
INSERT INTO quick SELECT n, 'q' FROM generate_series(1, 500) AS n;
INSERT INTO places SELECT 's', 't' FROM generate_series(1, 100) AS n;
INSERT INTO events SELECT n, '2024-01-01'::date + n % 59, '{}' FROM generate_series(1, 3000) AS n;
INSERT INTO events SELECT n, '2023-01-01', '{}' FROM generate_series(1, 50) AS n;
INSERT INTO events_plain SELECT n, '2024-03-05', '{}' FROM generate_series(1, 300) AS n;
INSERT INTO events_fit SELECT n, '2024-03-05', '{}' FROM generate_series(1, 300) AS n;
INSERT INTO logs SELECT n, '2024-01-01'::date + n % 59 FROM generate_series(1, 300) AS n;
INSERT INTO guarded SELECT n, n FROM generate_series(1, 300) AS n;
INSERT INTO shop.items SELECT n, 'i' FROM generate_series(1, 300) AS n;
INSERT INTO shop.stock SELECT n, n FROM generate_series(1, 300) AS n;
REFRESH MATERIALIZED VIEW sales_daily;
ANALYZE;
