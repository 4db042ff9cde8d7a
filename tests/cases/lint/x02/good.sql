DROP POLICY tenant ON orders;
CREATE POLICY tenant_read ON orders USING (tenant_id = current_tenant());
DROP POLICY gone ON users;
DROP TABLE users;
