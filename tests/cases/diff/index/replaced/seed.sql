INSERT INTO t SELECT n, n::text, n::text FROM generate_series(1, 100) AS n;
INSERT INTO u SELECT n::text FROM generate_series(1, 100) AS n;
