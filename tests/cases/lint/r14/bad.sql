ALTER TABLE orders SET ACCESS METHOD columnar; -- !
