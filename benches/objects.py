#!/usr/bin/env python3
"""Takes away, adds and changes one object after another, and holds what `af-db diff` says and writes against pg_dump.

    benches/objects.py FOLDER [--only 17,42] [--binary target/dist/af-db] [--scoreboard FILE]

FOLDER holds SQL files, one object each, which load in the order of their names into one database as a superuser; a
line `-- database: NAME` has a file tried by itself. Two throw-away servers are started: one holds everything, on the
other each file is left out in turn (with whatever then does not load) and changed in turn. A difference that
pg_dump sees must be told by `diff`; the SQL it prints must lead there by pg_dump's own judgement, both ways.

Needs initdb, pg_ctl, psql, pg_dump and pg_dumpall (in PG_BIN or on the path). Exit 1 when something is not detected
or fewer than 95 % are planned.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

PG_BIN = os.environ.get("PG_BIN") or os.path.dirname(os.path.realpath(shutil.which("initdb") or "initdb"))
AS_USER = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
DATABASE = "dump_test"
SHOWN = int(os.environ.get("SHOWN", "300"))

# Tried in this order until one loads and pg_dump sees it; the last ones add something to whatever it is.
CHANGES = [
    (r"IS '(?=\w)", "IS 'another "),
    (r"IS NULL", "IS 'said after all'"),
    (r"(?s)(GRANT .*? TO [^;]*);?\s*$", r"\1 WITH GRANT OPTION;"),
    (r"GRANT SELECT", "GRANT INSERT"),
    (r"(?s)(REVOKE (\w+) ON (.*?)\s+FROM )(.*?);?\s*$", r'\1\4; GRANT \2 ON \3 TO "regress_quoted  \\"" role" WITH GRANT OPTION;'),
    (r"REVOKE (\w+) ON (\w+) FROM", r"GRANT \1 ON \2 TO"),
    (r"(?s)(ALTER DEFAULT PRIVILEGES.*)REVOKE SELECT", r"\1REVOKE INSERT"),
    (r"(?s)(ALTER DEFAULT PRIVILEGES.*)REVOKE (.*) FROM PUBLIC", r"\1GRANT \2 TO PUBLIC WITH GRANT OPTION"),
    (r"\(true\)", "(1 > 0)"),
    (r"\(false\)", "(1 < 0)"),
    (r"CREATE ROLE (.*?);", r"CREATE ROLE \1 CREATEDB CONNECTION LIMIT 5;"),
    (r"(STORAGE) \w+", r"\1 PLAIN"),
    (r"ENABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"),
    (r"USING \(1 > 0\)", "USING (2 > 1)"),
    (r"SELECT 1\b", "SELECT 7"),
    (r"RETURN NULL", "RETURN NEW"),
    (r"BEFORE INSERT", "BEFORE UPDATE"),
    (r"AFTER INSERT", "AFTER DELETE"),
    (r"ddl_command_start", "ddl_command_end"),
    (r"AS ASSIGNMENT", "AS IMPLICIT"),
    (r"OWNER TO \S.*?;", "OWNER TO regress_dump_test_role;"),
    (r"'10014'", "'10015'"),
    (r"'earth'", "'world'"),
    (r'collation="C"', 'collation="POSIX"'),
    (r"default = 42", "default = 43"),
    (r"f1 int\b", "f1 bigint"),
    (r"\(a int\)", "(b int)"),
    (r"PUBLICATION pub(\d);", r"PUBLICATION pub\1 WITH (publish = 'insert');"),
    (r"publish = ''", "publish = 'delete'"),
    (r"dbname=doesnotexist", "dbname=nowhere"),
    (r"col1 (>|=) \d", "col1 = 77"),
    (r"\(col3, col2\)", "(col3, col1)"),
    (r"'test'\)", "'tried')"),
    (r"\(lexize=dsimple_lexize\)", "(lexize=dispell_lexize)"),
    (r"lextypes = prsd_lextype", "lextypes = prsd_lextype, headline = prsd_headline"),
    (r"\(template=simple\)", "(template=simple, stopwords=english)"),
    (r"DEFAULT CONVERSION", "CONVERSION"),
    (r"LOCALE = 'C'", "LOCALE = 'de'"),
    (r'FROM "C"', 'FROM "POSIX"'),
    (r"schema_name 'x1'", "schema_name 'x2'"),
    (r"STATISTICS \d+", "STATISTICS 77"),
    (r"n_distinct = 10", "n_distinct = 11"),
    (r"SET DEFAULT 1", "SET DEFAULT 2"),
    (r"check_option = 'local'", "check_option = 'cascaded'"),
    (r"fillfactor=80", "fillfactor=70"),
    (r"\(ndistinct\)", "(dependencies)"),
    (r"\(2 \* col1\)", "(3 * col1)"),
    (r"ON col1, col2 FROM", "(mcv) ON col1, col2 FROM"),
    (r"\(city_id, logdate\)", "(logdate, city_id)"),
    (r"TO \('2006-03-01'\)", "TO ('2006-02-28')"),
    (r"COMPRESSION (lz4|pglz)", "COMPRESSION pglz"),
    (r"\* 2\)", "* 4)"),
    (r"always as identity", "by default as identity"),
    (r"OPERATOR 1 <", "OPERATOR 1 <="),
    (r"AS STORAGE bigint,", "AS"),
    (r"AS STORAGE bigint", "AS OPERATOR 1 <(bigint,bigint)"),
    (r"FUNCTION age\(timestamptz\)", "INOUT"),
    (r"SUPPORT varchar_support", ""),
    (r"CLUSTER ON test_table_pkey", "REPLICA IDENTITY FULL"),
    (r"USING heap", "USING heap WITH (fillfactor=50)"),
    (r"(?s)CREATE MATERIALIZED VIEW\s+(\S+)(.*) AS\s", r"CREATE MATERIALIZED VIEW \1\2 WITH (fillfactor=33) AS "),
    (r"prsd_lextype\(internal\), TO SQL.*\)", "prsd_lextype(internal))"),
    (r"\bcol1 int(eger)?\b", "col1 bigint"),
    (r"\bcol1 int,\s", "col1 int NOT NULL, "),
    (r"\bid int\b", "id bigint"),
    (r"\(\s*\)(;|\s)", r"(another int)\1"),
    (r"IMMUTABLE", "STABLE"),
    (r"(?s)$", "; COMMENT ON {what} IS 'changed';"),
    (r"(?s)$", "; ALTER {what} OWNER TO regress_dump_test_role;"),
    (r"(?s)$", "; ALTER {what} OPTIONS (ADD changed 'yes');"),
]


class Server:
    def __enter__(self):
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.home = tempfile.mkdtemp(prefix="objects-", dir=memory)
        if AS_USER:
            shutil.chown(self.home, "postgres")
        pg_ctl = [f"{PG_BIN}/pg_ctl", "-D", f"{self.home}/data"]
        run(AS_USER + [f"{PG_BIN}/initdb", "-D", f"{self.home}/data", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8", "-U", "postgres"])
        options = f"-k {self.home} -c listen_addresses= -c fsync=off -c autovacuum=off -c max_locks_per_transaction=256"
        run(AS_USER + pg_ctl + ["-o", options, "-l", f"{self.home}/log", "-w", "start"])
        self.stop = AS_USER + pg_ctl + ["-m", "immediate", "stop"]
        return self

    def __exit__(self, *_):
        subprocess.run(self.stop, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)

    def url(self, database=DATABASE):
        return f"postgresql://postgres@/{database}?host={self.home}"

    def psql(self, text, database=DATABASE, stop=True):
        words = ["psql", "-qAtX", "-v", f"ON_ERROR_STOP={int(stop)}", "-v", "VERBOSITY=terse", "-d", self.url(database), "-f", "-"]
        quiet = {**os.environ, "PGOPTIONS": "-c client_min_messages=error"}
        return subprocess.run(words, input=text, capture_output=True, text=True, env=quiet)

    def clear(self, roles, only=()):
        """Leaves no databases, or not those named, nor roles when asked."""
        databases = self.psql("SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')", "postgres")
        for database in only or databases.stdout.split():
            if "\n" in self.psql("SELECT subname FROM pg_subscription", database).stdout:
                self.psql("""ALTER SUBSCRIPTION sub1 DISABLE;
                    ALTER SUBSCRIPTION sub1 SET (slot_name = NONE);
                    DROP SUBSCRIPTION sub1;""", database)
            self.psql(f'DROP DATABASE "{database}" WITH (FORCE)', "postgres")
        if roles:
            self.psql("""SELECT format('DROP OWNED BY %I', rolname) FROM pg_roles WHERE oid >= 16384 \\gexec
                SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE oid >= 16384 \\gexec""", "postgres", False)
        self.psql(f"CREATE DATABASE {DATABASE} TEMPLATE template0", "postgres")

    def load(self, texts, roles=True, only=()):
        """Loads what can be loaded; gives which files failed. Roles that are there already are no failure."""
        self.clear(roles, only)
        script = "\n".join(f"\\warn @{number}\n{text}\n;" for number, text in texts)
        told = self.psql(script, stop=False).stderr
        failed, number = [], None
        for line in told.splitlines():
            if line.startswith("@"):
                number = line[1:]
            elif "ERROR:" in line and number not in failed and not re.search("(role|database) .* already exists", line):
                failed.append(number)
        return failed

    def dump(self, roles, database=DATABASE):
        """What pg_dump says of the schema and pg_dumpall of the roles, free of the order in which it is said."""
        text = run([f"{PG_BIN}/pg_dump", "-s", "-C", "-d", self.url(database)])
        text = re.sub(r"(?m)^(\\(un)?restrict .*|SET default_table_access_method.*)\n", "", text)
        said = sorted(block.strip() for block in re.split(r"\n--\n-- (?=Name: )", text))
        # Members of a family and grants are told in the order in which they came.
        unordered = ("Type: OPERATOR FAMILY", "Type: ACL")
        said = ["\n".join(sorted(line.rstrip(" ,;") for line in block.splitlines())) if any(of in block for of in unordered) else block for block in said]
        if roles:
            said += run([f"{PG_BIN}/pg_dumpall", "--roles-only", "-d", self.url("postgres")]).splitlines()
        return [line for line in said if "restrict " not in line]


def run(words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def lead(binary, here, url, want, roles):
    """Has the SQL of a diff run; gives whether anything was detected and what is wrong with the outcome."""

    def diff():
        words = [binary, "diff", here.url(), url] + ["--roles"] * roles
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr.strip()

    status, text, story = diff()
    if status not in (0, 1):
        return False, story[max(story.find("error:"), 0):][:SHOWN]
    if status == 0:
        return False, "not detected"
    told = here.psql(text)
    if told.returncode:
        return True, told.stderr.strip().splitlines()[0]
    odd = sorted(set(here.dump(roles)) ^ set(want), key=len)
    if odd:
        return True, f"pg_dump sees {len(odd)} differences: {' | '.join(odd)[:SHOWN]}"
    if here.again:
        status, text, _ = diff()
        if status:
            return True, f"planned again: {text.strip()[:300]}"
    return True, None


def named(text):
    """What a statement makes, as COMMENT ON and ALTER name it."""
    found = re.search(r"CREATE (?:DEFAULT )?((?:[A-Z]+ ){1,4})((?:\"[^\"]*\"|[\w.])+(?:\([^)]*\))?)", text)
    return f"{found[1].strip()} {found[2]}" if found else None


def changed(text):
    what = named(text)
    for pattern, by in CHANGES:
        if "{what}" in by:
            if not what:
                continue
            by = by.format(what=what).replace("\\", "\\\\")
        new = re.sub(pattern, by, text, count=1)
        if new != text:
            yield new


def judge(binary, number, files, servers):
    """Gives whether the object counts at all, what was not detected and what could not be planned."""
    full, part, spare = servers
    text = dict(files)[number]
    # Roles, databases and subscriptions are the server's: a copy beside it would share or lack them.
    roles = bool(re.search(r"CREATE ROLE|ON DATABASE|CREATE DATABASE|SUBSCRIPTION", text))
    if not roles:
        files = [(n, t) for n, t in files if not re.search("DATABASE|SUBSCRIPTION", t)]
    base = [(n, t) for n, t in files if n != number and "-- database:" not in t]
    if "-- database:" in text:
        base = [(n, t) for n, t in base if "CREATE ROLE" in t]
    at = next((i for i, (n, _) in enumerate(base) if n > number), len(base))
    whole = base[:at] + [(number, text)] + base[at:]
    if full.holds != [n for n, _ in whole]:
        failed = full.load(whole)
        if failed:
            print(f"      does not load here: {failed}")
        full.holds, full.says = [n for n, _ in whole], {}
    if roles not in full.says:
        full.says[roles] = full.dump(roles)
    says = full.says[roles]
    missing, unplanned = [], []

    def both(kind, back, texts):
        before = part.dump(roles)
        if before == says:
            return False
        if roles:
            spare.load(texts)
            kept = spare.url()
        else:
            part.psql(f"CREATE DATABASE kept TEMPLATE {DATABASE}", "postgres")
            kept = part.url("kept")
        seen, wrong = lead(binary, part, full.url(), says, roles)
        if wrong:
            unplanned.append(f"{kind}: {wrong}")
            part.load(whole, roles, [DATABASE])
        if not seen:
            missing.append(kind)
        seen, wrong = lead(binary, part, kept, before, roles)
        if not seen:
            missing.append(back)
        if wrong:
            unplanned.append(f"{back}: {wrong}")
        return True

    part.load(base, roles)
    counts = both("add", "drop", base)
    if not counts:
        return False, missing, unplanned
    for new in changed(text):
        texts = base[:at] + [(number, new)] + base[at:]
        if number in part.load(texts, roles):
            continue
        if both("change", "change back", texts):
            return True, missing, unplanned
    print(f"      no change found for {number}")
    return counts, missing, unplanned


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--only", default="")
    parser.add_argument("--binary", default=os.path.join(os.getcwd(), "target/dist/af-db"))
    parser.add_argument("--scoreboard")
    parser.add_argument("--again", action="store_true", help="hold that nothing is planned a second time, too")
    said = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = sorted(name for name in os.listdir(said.folder) if name.endswith(".sql"))
    files = []
    for name in names:
        with open(os.path.join(said.folder, name)) as file:
            files.append((name.split("-")[0], re.sub(r"(?m)^-- (?!database:).*\n", "", file.read())))
    only = said.only.split(",") if said.only else [number for number, _ in files]
    lines, counted, undetected, unplanned = [], 0, 0, 0
    with Server() as full, Server() as part, Server() as spare:
        full.holds, part.again = None, said.again
        for server in (part, spare):
            server.load([(n, t) for n, t in files if "CREATE ROLE" in t])
        for name, (number, _) in zip(names, files):
            if number not in only:
                continue
            counts, missing, wrong = judge(os.path.abspath(said.binary), number, files, (full, part, spare))
            if not counts:
                lines.append(f"{name}: no schema, by pg_dump")
            else:
                counted += 1
                undetected += bool(missing)
                unplanned += bool(wrong)
                lines.append(f"{name}: {'ok' if not wrong else '; '.join(wrong)}")
            print(lines[-1], flush=True)
    lines.append(f"{counted} objects: {counted - undetected} detected, {counted - unplanned} planned, both ways, added, dropped and changed")
    print(lines[-1])
    if said.scoreboard:
        with open(said.scoreboard, "w") as file:
            file.write("\n".join(lines) + "\n")
    sys.exit(undetected > 0 or unplanned > 0.05 * counted)


if __name__ == "__main__":
    main()
