ALTER TYPE state ADD VALUE 'gone'; -- !
ALTER TYPE state ADD VALUE IF NOT EXISTS 'lost' AFTER 'gone'; -- !
