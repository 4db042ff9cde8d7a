CREATE TYPE answer;
CREATE FUNCTION answer_in(cstring) RETURNS answer AS 'int4in' LANGUAGE internal STRICT IMMUTABLE;
CREATE FUNCTION answer_out(answer) RETURNS cstring AS 'int4out' LANGUAGE internal STRICT IMMUTABLE;
CREATE TYPE answer (internallength = 4, input = answer_in, output = answer_out, alignment = int4, default = 42, passedbyvalue);
CREATE TYPE pair AS (number int, answer answer);
CREATE TABLE asked (one answer, both_of pair);
