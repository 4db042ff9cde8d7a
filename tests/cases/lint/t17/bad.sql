DO $$ BEGIN ALTER TABLE orders ADD COLUMN a int; END $$; -- !
DO $body$ BEGIN EXECUTE format('DROP TABLE %I', 'a'); END $body$ LANGUAGE plpgsql; -- !
