INSERT INTO settings VALUES ('postgres://app:hunter2@db/app'); -- !
SELECT vault.create_secret('ghp_0123456789abcdefABCDEF0123456789', 'token'); -- !
