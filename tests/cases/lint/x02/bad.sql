DROP POLICY IF EXISTS tenant ON orders; -- !
