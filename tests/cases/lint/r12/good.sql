CREATE UNLOGGED TABLE cache (k text);
ALTER TABLE cache SET LOGGED;
ALTER TABLE orders SET (fillfactor = 70);
