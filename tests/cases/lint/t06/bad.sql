UPDATE orders SET state = 'new'; -- !
WITH x AS (SELECT 1 WHERE true) UPDATE ONLY app.orders SET state = (SELECT a FROM b WHERE c); -- !
