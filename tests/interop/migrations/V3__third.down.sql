DELETE FROM first WHERE id = 1;
