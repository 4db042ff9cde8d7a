#!/usr/bin/env python3
"""Scores `af-db diff` on folders of cases, judged by pg_dump, and writes a scoreboard.

  benches/diff_scores.py [--only TEXT] [--jobs N] [--bin DIR] [--pg-dump FILE] [--scoreboard FILE] [--min PERCENT] SUITE...

A suite is a folder of cases `<case>/old.sql` and `<case>/new.sql`, at any depth; beside them may lie `setup.sql` (run before
both), `seed.sql` (rows for the old side, run after it) and `meta.json` (`"roles"`: roles to create first). For every case that
the server loads, both ways: the SQL that `af-db diff A B` prints is run by psql on A, and then

  - `pg_dump --schema-only` of A equals that of B, line by line,
  - `af-db diff A B` prints nothing and exits 0,
  - every row of a seeded table that both sides have is still there.

A direction is *right*, *failed* (an error was seen: by af-db, or by psql) or *silently wrong* (nobody complained and the result
is not B). The scoreboard is Markdown: each suite with its figures, then each direction that is not right with its reason.
Each job has a server of its own: --bin names a folder with initdb and pg_ctl, --pg-dump a pg_dump at least as new as the
server (without one only the second and third test are made). AF_DB names the program, else target/dist/af-db.
"""
import argparse, json, os, queue, re, shutil, socket, subprocess, sys, tempfile, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run(args, **more):
    try:
        return subprocess.run(args, capture_output=True, text=True, errors="replace", timeout=120, **more)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(args, 124, "", "took longer than 120 s")


class Server:
    """A server that lives as long as the run; one for each job, because roles belong to a server."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="af-db-scores-")
        self.as_postgres = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
            self.as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def __enter__(self):
        data, log = self.folder + "/data", self.folder + "/log"
        init = [self.options.bin + "/initdb", "-D", data, "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8", "-U", "postgres"]
        self.must(run(self.as_postgres + init))
        settings = (
            f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"
            " -c max_locks_per_transaction=256 -c max_prepared_transactions=0 -c wal_level=logical"
        )
        start = [self.options.bin + "/pg_ctl", "-D", data, "-o", settings, "-l", log, "-w", "start"]
        self.must(subprocess.run(self.as_postgres + start, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
        self.roles = set(self.rows("postgres", "SELECT rolname FROM pg_roles"))
        return self

    def __exit__(self, *_):
        run(self.as_postgres + [self.options.bin + "/pg_ctl", "-D", self.folder + "/data", "-m", "immediate", "stop"])
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def must(done):
        if done.returncode:
            sys.exit(f"error: {done.stderr or done.stdout}")

    def url(self, database):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def psql(self, database, *args):
        env = {**os.environ, "PGOPTIONS": "-c client_min_messages=error"}
        return run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), *args], env=env)

    def rows(self, database, sql):
        return self.psql(database, "-c", sql).stdout.splitlines()

    def create(self, database, template="template0"):
        drop = f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'
        self.must(self.psql("postgres", "-c", drop, "-c", f'CREATE DATABASE "{database}" TEMPLATE "{template}"'))

    def forget(self):
        """Drops the databases and the roles of a case."""
        names = [f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)' for name in ("work", "old", "new")]
        quote = lambda name: '"' + name.replace('"', '""') + '"'
        names += [f"DROP ROLE {quote(role)}" for role in self.rows("postgres", "SELECT rolname FROM pg_roles") if role not in self.roles]
        for name in names:
            self.psql("postgres", "-c", name)

    def dump(self, database):
        if not self.options.pg_dump:
            return None
        done = run([self.options.pg_dump, "--schema-only", "-d", self.url(database)])
        self.must(done)
        skip = ("--", "\\", "SET ", "SELECT pg_catalog.set_config")
        return [line for line in done.stdout.split("\n") if line and not line.startswith(skip)]

    def counts(self, database):
        """Gives the number of rows of each table that has any, by its name."""
        tables = "SELECT format('%I.%I', n.nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        tables += " WHERE relkind = 'r' AND nspname <> 'information_schema' AND nspname !~ '^pg_'"
        return {table: self.rows(database, f"SELECT count(*) FROM ONLY {table}")[0] for table in self.rows(database, tables)}


def first_difference(got, want):
    """Gives a line that only one of two dumps has."""
    got_set, want_set = set(got), set(want)
    for line in want:
        if line not in got_set:
            return f"lacks `{line.strip()}`"
    for line in got:
        if line not in want_set:
            return f"has left `{line.strip()}`"
    return "the same lines in another order"


def direction(server, options, case, start, goal, dumps):
    """Gives what became of one direction: a word and a reason."""
    server.create("work", start)
    seed = os.path.join(case, "seed.sql")
    if start == "old" and os.path.exists(seed):
        seeded = server.psql("work", "-f", seed)
        if seeded.returncode:
            return "failed", "seed.sql: " + seeded.stderr.strip().split("\n")[0]
        before = {table: count for table, count in server.counts("work").items() if count != "0"}
    else:
        before = {}
    told = run([options.program, "diff", server.url("work"), server.url(goal)])
    if told.returncode not in (0, 1):
        return "failed", "af-db: " + " / ".join(line for line in told.stderr.strip().split("\n") if line.startswith(("error", "caused"))) + f" (exit {told.returncode})"
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(told.stdout)
        script.flush()
        done = server.psql("work", "-f", script.name)
    if options.show:
        print(told.stdout)
    if done.returncode:
        error = re.sub(r"^psql:\S+?:(\d+): ", r"line \1: ", done.stderr.strip().split("\n")[0])
        return "failed", error
    dump = server.dump("work")
    if dump != dumps[goal]:
        return "wrong", first_difference(dump, dumps[goal])
    again = run([options.program, "diff", server.url("work"), server.url(goal)])
    if again.returncode or again.stdout.strip():
        return "wrong", "differs again: " + (again.stdout or again.stderr).strip().split("\n")[0]
    after = server.counts("work") if before else {}
    for table, count in before.items():
        if table in after and after[table] != count:
            return "wrong", f"{table} had {count} rows and has {after[table]}"
    return "right", ""


def score(server, options, case):
    """Gives the outcome of both directions of a case."""
    ways = (("old", "new"), ("new", "old"))
    meta = os.path.join(case, "meta.json")
    roles = json.load(open(meta)).get("roles", []) if os.path.exists(meta) else []
    try:
        for role in roles:
            server.psql("postgres", "-c", f'CREATE ROLE "{role}"')
        for side in ("old", "new"):
            server.create(side)
            for name in ("setup", side):
                path = os.path.join(case, name + ".sql")
                loaded = server.psql(side, "-f", path) if os.path.exists(path) else None
                if loaded and loaded.returncode:
                    reason = re.sub(r"^psql:\S*/", "", loaded.stderr.strip().split("\n")[0])
                    return [(start, goal, "unloadable", reason) for start, goal in ways]
        dumps = {side: server.dump(side) for side in ("old", "new")}
        return [(start, goal, *direction(server, options, case, start, goal, dumps)) for start, goal in ways]
    finally:
        server.forget()


def found(suite, only):
    """Gives the cases of a suite by their names."""
    cases = {}
    for folder, _, files in os.walk(suite):
        if "old.sql" in files and "new.sql" in files:
            name = os.path.relpath(folder, suite)
            if not only or re.search(only, name):
                cases[name] = folder
    return sorted(cases.items())


def work(options, waiting, outcomes):
    with Server(options) as server:
        while True:
            try:
                suite, name, case = waiting.get_nowait()
            except queue.Empty:
                return
            for start, goal, outcome, reason in score(server, options, case):
                outcomes.append((suite, name, f"{start}→{goal}", outcome, reason))
                if outcome in ("failed", "wrong"):
                    print(f"{suite}/{name} {start}→{goal}: {outcome}: {reason}", flush=True)
            if options.scoreboard:
                write(options, outcomes)


def board(options, outcomes, version):
    """Gives the scoreboard as Markdown."""
    plain = lambda text: text.replace("|", "\\|").replace("\n", " ")
    lines = ["# Scores of `af-db diff`", "", f"Written by `benches/diff_scores.py` on PostgreSQL {version}. Each case is run both ways.", ""]
    if not options.pg_dump:
        lines += ["No `pg_dump` for this version was at hand: judged by planning again and by the rows only.", ""]
    lines += [f"{len({row[:2] for row in outcomes})} of {options.cases} cases were run.", ""]
    lines += ["| suite | directions | right | failed | silently wrong | not loadable |", "|---|---:|---:|---:|---:|---:|"]
    for suite in sorted({row[0] for row in outcomes}):
        of = [row[3] for row in outcomes if row[0] == suite]
        judged = len(of) - of.count("unloadable")
        share = f"{of.count('right')} ({100 * of.count('right') / judged:.1f} %)" if judged else "0"
        lines.append(f"| {suite} | {judged} | {share} | {of.count('failed')} | {of.count('wrong')} | {of.count('unloadable')} |")
    for title, word in (("Silently wrong", "wrong"), ("Failed", "failed"), ("Not loadable", "unloadable")):
        rows = sorted(row for row in outcomes if row[3] == word)
        if rows:
            lines += ["", f"## {title}", "", "| case | way | reason |", "|---|---|---|"]
            lines += [f"| {plain(row[0])}/{plain(row[1])} | {row[2]} | {plain(row[4])[:200]} |" for row in rows]
    return "\n".join(lines) + "\n"


def write(options, outcomes):
    version = re.search(r"\d+[.\d]*", run([options.bin + "/postgres", "--version"]).stdout).group()
    with open(options.scoreboard, "w") as file:
        file.write(board(options, list(outcomes), version))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+", metavar="SUITE")
    parser.add_argument("--only", help="cases whose name this regular expression finds")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--bin", default=os.path.dirname(os.path.realpath(shutil.which("initdb") or "initdb")))
    parser.add_argument("--pg-dump", help="default: that of --bin, where there is one")
    parser.add_argument("--scoreboard", help="the file to write")
    parser.add_argument("--min", type=float, default=99.0)
    parser.add_argument("--show", action="store_true", help="print the SQL of every direction")
    options = parser.parse_args()
    options.program = os.environ.get("AF_DB", ROOT + "/target/dist/af-db")
    if not os.path.exists(options.program):
        sys.exit(f"error: there is no {options.program}\nhint: cargo build --profile dist")
    if not os.path.exists(options.bin + "/initdb"):
        sys.exit(f"error: there is no initdb in {options.bin}\nhint: --bin DIR")
    if not options.pg_dump and os.path.exists(options.bin + "/pg_dump"):
        options.pg_dump = options.bin + "/pg_dump"
    waiting, outcomes = queue.Queue(), []
    for suite in options.suites:
        for name, case in found(suite, options.only):
            waiting.put((os.path.basename(os.path.normpath(suite)), name, case))
    options.cases = waiting.qsize()
    began = time.time()
    workers = [threading.Thread(target=work, args=(options, waiting, outcomes)) for _ in range(min(options.jobs, waiting.qsize()))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    words = [row[3] for row in outcomes]
    judged = len(words) - words.count("unloadable")
    share = 100 * words.count("right") / judged if judged else 0.0
    print(f"{words.count('right')} of {judged} directions right ({share:.1f} %), {words.count('wrong')} silently wrong, "
          f"{words.count('failed')} failed, {words.count('unloadable')} not loadable, {time.time() - began:.0f} s")
    sys.exit(0 if judged and share >= options.min and not words.count("wrong") else 1)


if __name__ == "__main__":
    main()
