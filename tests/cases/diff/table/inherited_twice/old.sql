-- Parents that disagree on a default: the child says its own at once.
CREATE TABLE one (a int, b int DEFAULT 1);
CREATE TABLE two (b int DEFAULT 2, c text);
CREATE TABLE child (b int DEFAULT 3) INHERITS (one, two);
