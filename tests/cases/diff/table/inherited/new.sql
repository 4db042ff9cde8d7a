CREATE TABLE base (at date DEFAULT now());
CREATE TABLE child (a int, extra int) INHERITS (base);
