CREATE TABLE logs (a int) USING columnar;
ALTER TABLE logs SET ACCESS METHOD heap;
