GRANT SELECT ON orders TO PUBLIC; -- !
GRANT ALL ON TABLE orders TO anon, authenticated; -- !
GRANT SELECT ON orders TO reporting WITH GRANT OPTION; -- !
