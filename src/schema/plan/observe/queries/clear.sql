-- Takes back what prepare.sql made.
DROP EVENT TRIGGER IF EXISTS af_db_observer_dropped;
DROP EVENT TRIGGER IF EXISTS af_db_observer_rewritten;
DROP EVENT TRIGGER IF EXISTS af_db_observer_granted;
DROP SCHEMA IF EXISTS af_db_observer CASCADE;
