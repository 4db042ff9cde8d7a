SET standard_conforming_strings = off;
INSERT INTO t VALUES ('it\'s; ☃', N'\\', E'\'', U&'d\0061t', B'01', "a""b", $x$ ; $$ $x$);
RESET ALL;
SELECT pg_catalog.set_config('standard_conforming_strings', 'off', true), 'a\';b';
COPY t (a, b) FROM stdin; -- rows
it's	\N
\.
BEGIN; SET LOCAL standard_conforming_strings TO 0; COMMIT;
\gexec ☃
SELECT 1 /* never closed ☃
