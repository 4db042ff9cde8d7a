CREATE TYPE fresh AS ENUM ('new');
ALTER TYPE fresh ADD VALUE 'gone';
ALTER TYPE place ADD ATTRIBUTE number int;
