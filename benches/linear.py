#!/usr/bin/env python3
"""Measures how the offline check of one file grows with the file: 40 shapes at 1, 2, 4 and 8 MB.

    benches/linear.py [--program target/dist/af-db] [--sizes 1,2,4,8] [--only WORD]

Prints the seconds of `af-db validate --offline` for each size and the growth for each doubling, which is about 2 where
the time is linear and about 4 where it is quadratic. Ends with status 1 where a doubling costs more than three times
as much, small times aside. Not part of the tests: what a busy machine measures proves nothing.
"""

import argparse
import os
import subprocess
import sys
import tempfile

ROWS = "".join(f"{n}\tit's row {n}\n" for n in range(20))

# Each shape is a first part and one that is repeated with its number.
SHAPES = {
    "directives": ("", '-- af-db: allow D01 reason="x{n}"\nDROP TABLE t{n};\n'),
    "directives unused": ("", '-- af-db: allow R02 reason="x{n}"\nSELECT {n};\n'),
    "comment on": ("CREATE TABLE t (a int);\n", "COMMENT ON COLUMN t.a IS 'it''s {n}';\n"),
    "grant": ("CREATE TABLE t (a int);\n", "GRANT SELECT ON TABLE t TO r{n};\n"),
    "revoke": ("", "REVOKE ALL ON TABLE t{n} FROM PUBLIC;\n"),
    "alter of one table": ("CREATE TABLE t (a int);\n", "ALTER TABLE t ADD COLUMN c{n} int;\n"),
    "alter of many tables": ("", "ALTER TABLE t{n} ADD COLUMN c int;\n"),
    "alter column": ("", "ALTER TABLE t ALTER COLUMN c{n} SET DEFAULT 1;\n"),
    "alter type": ("", "ALTER TABLE t ALTER COLUMN c{n} TYPE bigint;\n"),
    "check and validate": ("CREATE TABLE t (a int);\n", "ALTER TABLE t ADD CONSTRAINT k{n} CHECK (c{n} IS NOT NULL) NOT VALID;\nALTER TABLE t VALIDATE CONSTRAINT k{n};\n"),
    "drop column": ("CREATE TABLE t (a int);\n", "CREATE INDEX ON t (c{n});\nALTER TABLE t DROP COLUMN c{n};\n"),
    "drop constraint": ("CREATE TABLE t (a int);\n", "ALTER TABLE t ADD CONSTRAINT k{n} CHECK (c{n} IS NOT NULL);\nALTER TABLE t DROP CONSTRAINT k0;\n"),
    "rename column": ("CREATE TABLE t (a int);\n", "CREATE INDEX ON t (c{n});\nALTER TABLE t RENAME COLUMN c{n} TO d{n};\n"),
    "rename table": ("", "ALTER TABLE t{n} RENAME TO u{n};\n"),
    "foreign keys": ("CREATE TABLE t (a int);\n", "ALTER TABLE t ADD FOREIGN KEY (c{n}) REFERENCES u;\nCREATE INDEX ON t (c{n});\n"),
    "create table": ("", "CREATE TABLE t{n} (id bigint PRIMARY KEY, a text NOT NULL);\n"),
    "wide table": ("CREATE TABLE t (a int", ",\n  c{n} text NOT NULL DEFAULT 'x'"),
    "drop table": ("", "DROP TABLE t{n};\n"),
    "create index": ("CREATE TABLE t (a int);\n", "CREATE INDEX i{n} ON t (a);\n"),
    "index concurrently": ("-- af-db: no-transaction\nSET lock_timeout = 0;\n", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i{n} ON t (a);\n"),
    "drop index": ("", "DROP INDEX i{n};\n"),
    "policies": ("CREATE TABLE t (a int);\nALTER TABLE t ENABLE ROW LEVEL SECURITY;\n", "CREATE POLICY p{n} ON t USING (a = {n} OR true);\n"),
    "drop policies": ("", "DROP POLICY p{n} ON t;\n"),
    "row security off": ("", "ALTER TABLE t{n} DISABLE ROW LEVEL SECURITY;\n"),
    "copy blocks": ("CREATE TABLE t (a int, b text);\n", "COPY public.t (a, b) FROM stdin;\n" + ROWS + "\\.\n"),
    "copy of one block": ("CREATE TABLE t (a int, b text);\nCOPY t FROM stdin;\n", "{n}\tit's\n"),
    "functions": ("", "CREATE FUNCTION f{n}() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE 'a' || b; RETURN {n}; END $$;\n"),
    "atomic functions": ("", "CREATE FUNCTION f{n}() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN {n} END; END;\n"),
    "one body": ("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN\n", "EXECUTE a{n} || 'b'\n"),
    "do blocks": ("", "DO $$ BEGIN PERFORM {n}; END $$;\n"),
    "views": ("CREATE TABLE t (a int);\nALTER TABLE t ENABLE ROW LEVEL SECURITY;\n", "CREATE VIEW v{n} AS SELECT a FROM t;\n"),
    "drop views": ("", "DROP VIEW v{n};\n"),
    "triggers": ("", "CREATE TRIGGER g{n} BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();\n"),
    "drop triggers": ("", "DROP TRIGGER g{n} ON t;\n"),
    "enum values": ("", "ALTER TYPE e ADD VALUE 'v{n}';\n"),
    "inserts": ("", "INSERT INTO t VALUES ({n}, 'it''s');\n"),
    "one insert": ("INSERT INTO t VALUES (0)", ",\n({n})"),
    "updates": ("CREATE TABLE t (a int);\n", "UPDATE t SET a = {n} WHERE a = 1;\n"),
    "settings": ("", "SET lock_timeout = '{n}s';\nRESET lock_timeout;\n"),
    "words of create": ("CREATE ", "OR REPLACE "),
    "open parentheses": ("SELECT ", "("),
    "open comments": ("SELECT 1 ", "/* "),
    "semicolons": ("", ";"),
    "one line": ("SELECT ", "{n}, "),
}


def write(path, shape, size):
    first, again = SHAPES[shape]
    with open(path, "w", encoding="utf-8") as file:
        written = file.write(first)
        number = 0
        while written < size:
            written += file.write(again.replace("{n}", str(number)))
            number += 1


def measure(program, shape, size):
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(f"{folder}/migrations")
        os.makedirs(f"{folder}/.git")
        write(f"{folder}/migrations/V1__a.sql", shape, size)
        before = os.times().children_user
        subprocess.run(
            [program, "validate", "--offline", "--json"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=600,
        )
        return os.times().children_user - before


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/dist/af-db")
    parser.add_argument("--sizes", default="1,2,4,8")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    program = os.path.abspath(options.program)
    sizes = [float(size) for size in options.sizes.split(",")]
    bad = 0
    print("shape".ljust(24), *[f"{size:g} MB".rjust(8) for size in sizes], "  growth")
    for shape in SHAPES:
        if options.only not in shape:
            continue
        times = [measure(program, shape, int(size * 1_000_000)) for size in sizes]
        growth = [later / max(earlier, 0.01) for earlier, later in zip(times, times[1:])]
        steep = any(factor > 3 and later > 0.5 for factor, later in zip(growth, times[1:]))
        bad += steep
        shown = " ".join(f"{factor:.1f}" for factor in growth)
        print(shape.ljust(24), *[f"{seconds:8.2f}" for seconds in times], " ", shown, "STEEP" if steep else "", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
