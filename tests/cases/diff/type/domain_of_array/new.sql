CREATE DOMAIN positive AS bigint CHECK (VALUE > 1);
CREATE DOMAIN several AS positive[] NOT NULL DEFAULT '{}';
CREATE TYPE mood AS ENUM ('high', 'low');
CREATE TYPE both_of AS (m mood, p positive);
CREATE TABLE held (x positive, y several, m mood[] DEFAULT '{low}', b both_of);
