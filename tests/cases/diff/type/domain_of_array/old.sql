-- What stands on a type that is set aside is set aside before it goes.
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN several AS positive[] NOT NULL DEFAULT '{}';
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TYPE both_of AS (m mood, p positive);
CREATE TABLE held (x positive, y several, m mood[] DEFAULT '{low}', b both_of);
