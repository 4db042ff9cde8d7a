INSERT INTO held VALUES (5, '{5}', '{low}', '(low,5)');
