INSERT INTO visits VALUES ('a', '2026-01-01', 1), ('b', '2026-01-02', 2);
