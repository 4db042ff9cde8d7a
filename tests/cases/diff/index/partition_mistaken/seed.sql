INSERT INTO archive.visits_a VALUES ('a', '2026-01-01');
