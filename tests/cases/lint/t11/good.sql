ALTER TYPE state ADD VALUE 'held';
UPDATE orders SET state = 'open' WHERE id = 1;
CREATE TYPE fresh AS ENUM ('a');
ALTER TYPE fresh ADD VALUE 'b';
SELECT 'b'::fresh;
