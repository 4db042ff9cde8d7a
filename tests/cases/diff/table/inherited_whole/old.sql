-- A child that declares its columns too goes before its parent, and is made again behind it.
CREATE TABLE base (a int PRIMARY KEY, b int);
CREATE TABLE child (a int, b int) INHERITS (base);
CREATE TABLE kept (a int, b int) INHERITS (base);
