INSERT INTO sites VALUES (1, 'one'); INSERT INTO visits VALUES (1);
