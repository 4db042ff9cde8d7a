INSERT INTO text_of VALUES (1, 'x');
