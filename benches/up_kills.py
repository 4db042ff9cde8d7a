#!/usr/bin/env python3
"""Kills `af-db up` at random moments, alone and with other runners beside it, and compares what is left.

    benches/up_kills.py [--rounds 100] [--seed 1] [--af-db target/dist/af-db]

Each round applies six migrations to a fresh database while one to three runners are killed with SIGKILL. Afterwards `up`
is run until it succeeds. A round passes when the schema equals that of an undisturbed run, every counter has exactly
the expected value, the journal verifies, and no invalid index is left. A round in which `up` asks a person how an interrupted
statement ended is counted by itself. Starts a server of its own; needs PostgreSQL's programs (PGBIN, or the newest
under /usr/lib/postgresql). Exits with 1 when any round fails.
"""
import argparse, collections, glob, os, pathlib, random, re, shutil, subprocess, sys, tempfile, time

MIGRATIONS = {
    "V1__base": "CREATE TABLE counter (n int NOT NULL); INSERT INTO counter VALUES (0);\n"
                "CREATE TABLE t AS SELECT g AS id, md5(g::text) AS a, g % 7 AS b FROM generate_series(1, 20000) AS g;\n"
                "ALTER TABLE t ADD PRIMARY KEY (id);\n",
    "V2__count": "UPDATE counter SET n = n + 1;\nSELECT pg_sleep(0.05);\nUPDATE counter SET n = n + 10;\n",
    "V3__indexes": "-- af-db: no-transaction\nUPDATE counter SET n = n + 100;\nCREATE INDEX CONCURRENTLY t_a ON t (a);\n"
                   "CREATE INDEX CONCURRENTLY t_b ON t (b);\nUPDATE counter SET n = n + 1000;\n",
    "V4__block": "-- af-db: no-transaction\nBEGIN;\nUPDATE counter SET n = n + 10000;\nCREATE TABLE u (id int);\nCOMMIT;\n"
                 "UPDATE counter SET n = n + 100000;\n",
    "V5__reindex": "-- af-db: no-transaction\nREINDEX INDEX CONCURRENTLY t_a;\nUPDATE counter SET n = n + 1000000;\n",
    "V6__last": "CREATE VIEW v AS SELECT count(*) AS n FROM t;\nUPDATE counter SET n = n + 10000000;\n",
}
EXPECTED = "11111111"


class Server:
    def __init__(self, work):
        folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        self.bin = os.environ.get("PGBIN") or folders[-1]
        self.work = work
        self.port = 20000 + os.getpid() % 20000
        self.prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.prefix:
            shutil.chown(work, "postgres")
        self.own([f"{self.bin}/initdb", "-D", f"{work}/data", "-A", "trust", "-U", "postgres"])
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {work}"
        self.own([f"{self.bin}/pg_ctl", "-D", f"{work}/data", "-l", f"{work}/log", "-w", "-o", settings, "start"])

    def own(self, command):
        subprocess.run(self.prefix + command, check=True, stdout=subprocess.DEVNULL, cwd=self.work)

    def stop(self):
        self.own([f"{self.bin}/pg_ctl", "-D", f"{self.work}/data", "-m", "immediate", "stop"])

    def url(self, database):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def sql(self, database, text):
        command = [f"{self.bin}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.url(database), "-c", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def schema(self, database):
        command = [f"{self.bin}/pg_dump", "-s", "-N", "af_db", self.url(database)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return "\n".join(line for line in text.splitlines() if not re.match(r"\\(un)?restrict|--", line))


def start(program, project, url):
    environment = {"PATH": os.environ["PATH"], "HOME": str(project), "DATABASE_URL": url}
    log = open(project / "log", "ab")
    return subprocess.Popen([program, "--yes", "up"], cwd=project, env=environment, stdin=subprocess.DEVNULL,
                            stdout=log, stderr=log)


def finish(program, project, url):
    """Runs `up` until it succeeds; returns the last status."""
    for _ in range(6):
        runner = start(program, project, url)
        status = runner.wait(timeout=120)
        if status == 0:
            return status
        time.sleep(0.2)
    return status


def wrong_with(server, database, reference, program, project):
    """Names everything that differs from an undisturbed run."""
    found = []
    counter = server.sql(database, "SELECT n FROM counter")
    if counter != EXPECTED:
        found.append(f"counter {counter} instead of {EXPECTED}")
    if server.schema(database) != reference:
        found.append("the schema differs")
    history = server.sql(database, "SELECT count(*) FROM refinery_schema_history")
    if history != str(len(MIGRATIONS)):
        found.append(f"{history} rows in the history")
    invalid = server.sql(database, "SELECT string_agg(indexrelid::regclass::text, ' ') FROM pg_index WHERE NOT indisvalid")
    if invalid:
        found.append(f"invalid indexes: {invalid}")
    verified = subprocess.run([program, "--database-url", server.url(database), "history", "--verify"], cwd=project,
                              capture_output=True, text=True)
    if verified.returncode != 0:
        found.append(f"history --verify ended with {verified.returncode}: {verified.stdout}{verified.stderr}")
    return found


def one_round(server, program, work, number, reference):
    database = f"round_{number}"
    server.sql("postgres", f"CREATE DATABASE {database}")
    project = work / database
    (project / "migrations").mkdir(parents=True)
    for name, text in MIGRATIONS.items():
        (project / "migrations" / f"{name}.sql").write_text(text)
    url = server.url(database)
    killed = 0
    if reference is not None:
        for _ in range(random.randint(1, 3)):
            runners = [start(program, project, url) for _ in range(random.randint(1, 3))]
            time.sleep(random.uniform(0, 0.5))
            for runner in runners:
                if runner.poll() is None and random.random() < 0.8:
                    runner.kill()
                    killed += 1
            for runner in runners:
                runner.wait(timeout=120)
    status = finish(program, project, url)
    if reference is None:
        reference = server.schema(database)
    log = (project / "log").read_text(errors="replace")
    if status != 0 and "repair" in log:
        outcome, found = "asked a person", []
    else:
        found = wrong_with(server, database, reference, program, project)
        outcome = "failed" if found or status else "passed"
    if outcome == "failed":
        print(f"{database}, last status {status}: {'; '.join(found)}\n{log[-3000:]}")
    server.sql("postgres", f"DROP DATABASE {database} WITH (FORCE)")
    return outcome, killed, reference


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--af-db", default=str(root / "target/dist/af-db"))
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    work = pathlib.Path(tempfile.mkdtemp(prefix="af-db-up-kills-", dir="/var/tmp"))
    program = str(pathlib.Path(arguments.af_db).resolve())
    server = Server(work)
    try:
        _, _, reference = one_round(server, program, work, 0, None)
        counts, kills = collections.Counter(), 0
        for number in range(1, arguments.rounds + 1):
            outcome, killed, _ = one_round(server, program, work, number, reference)
            counts[outcome] += 1
            kills += killed
        print(f"{kills} kills in {arguments.rounds} rounds: {counts['passed']} passed, {counts['failed']} failed, "
              f"{counts['asked a person']} asked a person")
        return 1 if counts["failed"] else 0
    finally:
        server.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
