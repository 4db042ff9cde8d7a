INSERT INTO settings VALUES ('postgres://app:${PASSWORD}@db/app');
INSERT INTO settings VALUES ('set at start by the service');
