ALTER TYPE state ADD VALUE IF NOT EXISTS 'held';
UPDATE orders SET state = 'held' WHERE id = 1; -- !
