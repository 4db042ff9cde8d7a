INSERT INTO visit_a (site) VALUES ('a');
