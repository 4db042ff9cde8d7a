ALTER TYPE state ADD VALUE 'fresh';
