CREATE TABLE one (a bigint, b int DEFAULT 1, d text);
CREATE TABLE two (b int DEFAULT 2, c text, d text);
CREATE TABLE child (b int DEFAULT 3) INHERITS (one, two);
