DROP TABLE orders; -- !
DROP TABLE IF EXISTS a, app.b CASCADE; -- !
