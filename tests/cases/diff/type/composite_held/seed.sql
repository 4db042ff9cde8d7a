INSERT INTO seen VALUES (1, '(1,a)', '{"(2,b)"}');
