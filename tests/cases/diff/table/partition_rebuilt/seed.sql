INSERT INTO visits VALUES ('a'), ('b'), ('c');
