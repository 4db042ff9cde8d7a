CREATE TABLE base (at date DEFAULT now(), extra int);
CREATE TABLE child (a int, b int) INHERITS (base);
