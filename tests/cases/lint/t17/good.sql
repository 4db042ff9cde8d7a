DO $$ BEGIN PERFORM 1; -- alter nothing
END $$;
