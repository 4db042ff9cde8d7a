INSERT INTO seen VALUES (1, 'a', '2026-02-02'), (2, 'z', '2025-01-01');
INSERT INTO note VALUES (1, 'a', '2026-02-02');
