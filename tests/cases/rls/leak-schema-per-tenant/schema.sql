CREATE SCHEMA t_a;
CREATE SCHEMA t_b;
CREATE TABLE t_a.notes (id int, tenant_id int);
CREATE TABLE t_b.notes (id int, tenant_id int);
GRANT USAGE ON SCHEMA t_a, t_b TO app_user;
GRANT SELECT ON t_a.notes, t_b.notes TO app_user;
