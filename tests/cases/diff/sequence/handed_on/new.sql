CREATE SEQUENCE counted AS smallint MAXVALUE 100 CYCLE;
CREATE TABLE first_of (a int DEFAULT nextval('counted'));
CREATE TABLE other (id int);
ALTER SEQUENCE counted OWNED BY first_of.a;
