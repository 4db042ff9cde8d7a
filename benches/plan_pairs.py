#!/usr/bin/env python3
"""Plans, approves and runs pairs of steps, and counts how the runs end.

  benches/plan_pairs.py [--only TEXT] [--sample N] [--seed N] [--batch N] [--jobs N]

The shapes are those of tests/cases/plan_pairs.sql. A pair is two shapes about the same table or about two tables, in one file
or in two, on tables that the plan itself creates (`empty`) or on tables with rows that were there before (`filled`). A pair
that PostgreSQL itself refuses is planned all the same, by itself: it must be refused before its first step. All others go
into plans of --batch pairs, each pair in a schema of its own, which `af-db plan --out` writes and
`af-db up --plan --approve` must run to its end. A run that stops half-way is a fault: its pair is told and left out, and the
others run again.

--sample takes so many pairs at random (0: all, which takes hours), --only those whose name contains a text. Needs initdb,
pg_ctl and psql (in PG_BIN or on the path); AF_DB names the program, else target/dist/af-db.
"""
import argparse, collections, itertools, json, os, random, re, shutil, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHAPES = os.path.join(ROOT, "tests/cases/plan_pairs.sql")


def shapes():
    """Reads the shapes: their name, what they say of themselves, their text."""
    found = []
    for line in open(SHAPES):
        head = re.match(r"-- shape: (\S+)(.*)", line)
        if head:
            words = head[2].split()
            facts = dict(word.split("=", 1) for word in words if "=" in word)
            found.append({"name": head[1], "alone": "alone" in words, "text": "", **facts})
        elif found:
            found[-1]["text"] += line
    return {shape["name"]: shape for shape in found}


def fill(text, names):
    for key, value in names.items():
        text = text.replace("{" + key + "}", value)
    return text


class Pair:
    def __init__(self, first, second, other, apart, filled):
        self.first, self.second, self.other, self.apart, self.filled = first, second, other, apart, filled
        about = "other" if other else "same"
        self.name = " ".join([first["name"], second["name"], about, "two" if apart else "one", "filled" if filled else "empty"])

    def base(self, schema, all_shapes):
        text = f"CREATE SCHEMA {schema};\nCREATE TABLE {schema}.b (id int PRIMARY KEY);\nINSERT INTO {schema}.b VALUES (1);\n"
        text += f"CREATE TABLE {schema}.log (what text);\n"
        for part in ["base", "fill"] if self.filled else ["base"]:
            for name in ["t", "u"]:
                text += fill(all_shapes[part]["text"], {"s": schema, "n": name})
        return text

    def steps(self, schema):
        """Gives the two texts."""
        tables = {"t": f"{schema}.t", "u": f"{schema}.u"}
        texts = []
        for number, (shape, about) in enumerate([(self.first, "t"), (self.second, "u" if self.other else "t")], 1):
            beside = "u" if about == "t" else "t"
            names = {"T": tables[about], "O": tables[beside], "s": schema, "n": about, "o": beside, "k": str(number)}
            texts.append(fill(shape["text"], names))
            if "becomes" in shape:
                tables[about] = fill(shape["becomes"], names)
            if "moves" in shape:
                moved = fill(shape["moves"], names)
                tables = {key: value.replace(schema + ".", moved + ".", 1) for key, value in tables.items()}
                schema = moved
        return texts

    def files(self, schema, all_shapes):
        """Gives the files that the plan runs."""
        head = lambda *of: "-- af-db: no-transaction\n" if any(shape["alone"] for shape in of) else ""
        first, second = self.steps(schema)
        files = [] if self.filled else [self.base(schema, all_shapes)]
        if self.apart:
            return files + [head(self.first) + first, head(self.second) + second]
        return files + [head(self.first, self.second) + first + second]


class Bench:
    def __init__(self, options):
        self.options, self.shapes = options, shapes()
        self.folder = tempfile.mkdtemp(prefix="af-db-pairs-")
        self.as_postgres = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
            self.as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        pg = os.environ.get("PG_BIN") or os.path.dirname(os.path.realpath(shutil.which("initdb") or "initdb"))
        self.pg = lambda name: os.path.join(pg, name)
        self.program = os.environ.get("AF_DB", os.path.join(ROOT, "target/dist/af-db"))
        self.count = 0

    def run(self, args, **more):
        return subprocess.run(args, capture_output=True, text=True, errors="replace", timeout=900, **more)

    def __enter__(self):
        data = self.folder + "/data"
        self.run(self.as_postgres + [self.pg("initdb"), "-D", data, "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8", "-U", "postgres"]).check_returncode()
        self.run(self.as_postgres + [self.pg("pg_ctl"), "-D", data, "-l", self.folder + "/log", "-w", "start", "-o",
            f"-k {self.folder} -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_locks_per_transaction=10000"],
            ).check_returncode()
        return self

    def __exit__(self, *_):
        self.run(self.as_postgres + [self.pg("pg_ctl"), "-D", self.folder + "/data", "-m", "immediate", "stop"])
        shutil.rmtree(self.folder, ignore_errors=True)

    def psql(self, database, text):
        return self.run([self.pg("psql"), "-h", self.folder, "-U", "postgres", "-d", database, "-qX", "-v", "ON_ERROR_STOP=1"], input=text)

    def database(self):
        self.count += 1
        name = f"pairs_{self.count}"
        self.psql("postgres", f"CREATE DATABASE {name};").check_returncode()
        return name

    def valid(self, pairs):
        """Asks PostgreSQL which pairs it refuses."""
        database, refused = self.database(), {}
        for at, pair in enumerate(pairs):
            schema = f"p{at}"
            made = self.psql(database, pair.base(schema, self.shapes))
            assert made.returncode == 0, made.stderr
            for text in pair.files(schema, self.shapes)[0 if pair.filled else 1 :]:
                whole = text if text.startswith("-- af-db: no-transaction") else f"BEGIN;\n{text}COMMIT;\n"
                ran = self.psql(database, whole)
                if ran.returncode != 0:
                    refused[pair] = ran.stderr.strip().splitlines()[0]
                    break
            self.psql(database, f"SET client_min_messages = error; DROP SCHEMA IF EXISTS {schema}, {schema}_side, {schema}_moved CASCADE;")
        return [pair for pair in pairs if pair not in refused], refused

    def plan_and_run(self, pairs):
        """Plans, approves and runs pairs together; gives both answers and whose each file is."""
        database = self.database()
        project = tempfile.mkdtemp(dir=self.folder)
        os.mkdir(project + "/migrations")
        os.mkdir(project + "/.git")
        url = f"host='{self.folder}' user=postgres dbname={database} sslmode=disable"
        with open(project + "/af-db.yaml", "w") as file:
            file.write('schemas: ["*"]\nenvironments:\n  production: { url: "${DATABASE_URL}", protected: true, require: [approved-plan] }\n')
        whose, before, version = {}, "", 0
        for at, pair in enumerate(pairs):
            schema = f"p{at}"
            if pair.filled:
                before += pair.base(schema, self.shapes)
            for text in pair.files(schema, self.shapes):
                version += 1
                name = f"migrations/V{version}__m.sql"
                whose[name] = pair
                with open(f"{project}/{name}", "w") as file:
                    file.write(text)
        self.psql(database, before).check_returncode()
        env = {"PATH": os.environ["PATH"], "HOME": project, "USER": "tester", "DATABASE_URL": url}
        if "AF_DB_CACHE_DIR" in os.environ:
            env["AF_DB_CACHE_DIR"] = os.environ["AF_DB_CACHE_DIR"]
        af_db = lambda *args: self.run([self.program, *args, "--env", "production"], cwd=project, env=env)
        planned = af_db("plan", "--out", "plan.json", "--json")
        try:
            document = json.loads(planned.stdout)
        except ValueError:
            return planned, None, None, whose
        ran = af_db("up", "--plan", "plan.json", "--approve", document["sha256"])
        applied = self.psql(database, "\\t\nSELECT count(*) FROM refinery_schema_history WHERE version > 0;").stdout.strip()
        self.psql("postgres", f"DROP DATABASE {database} WITH (FORCE);")
        return planned, ran, applied, whose


def chosen(options, all_shapes):
    names = [name for name in all_shapes if name not in ("base", "fill")]
    product = itertools.product(names, names, [False, True], [False, True], [True, False])
    pairs = [Pair(all_shapes[a], all_shapes[b], other, apart, filled) for a, b, other, apart, filled in product]
    pairs = [pair for pair in pairs if options.only in pair.name]
    random.Random(options.seed).shuffle(pairs)
    return pairs[: options.sample] if options.sample else pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--impossible", type=int, default=20, help="how many pairs that PostgreSQL refuses are planned by themselves")
    options = parser.parse_args()
    counts, faults = collections.Counter(), []
    with Bench(options) as bench:
        possible, refused = bench.valid(chosen(options, bench.shapes))
        counts["PostgreSQL itself refuses"] = len(refused)
        print(f"{len(possible)} pairs are possible, {len(refused)} are refused by PostgreSQL itself", flush=True)
        for at in range(0, len(possible), options.batch):
            batch = possible[at : at + options.batch]
            while batch:
                planned, ran, applied, whose = bench.plan_and_run(batch)
                text = planned.stderr if ran is None else ran.stderr
                if ran is not None and ran.returncode in (0, 1) and int(applied) == len(whose):
                    counts["done"] += len(batch)
                    if ran.returncode == 1:
                        counts["  of these in plans with a finding afterwards"] += len(batch)
                        print("finding afterwards:\n" + ran.stdout, flush=True)
                    break
                named = re.findall(r"migrations/V\d+__m\.sql", text[text.find("error"):])
                status = "not planned" if ran is None else f"status {ran.returncode}"
                culprits = {whose[name] for name in named[:1]} if status != "status 4" else {whose[name] for name in named}
                if not culprits:
                    culprits = set(batch)
                for pair in culprits:
                    counts[status] += 1
                    faults.append((status, pair.name))
                print(f"FAULT {status}: {', '.join(pair.name for pair in culprits)}\n{text[text.find('error'):][:1500]}", flush=True)
                batch = [pair for pair in batch if pair not in culprits]
        for pair in list(refused)[: options.impossible]:
            _, ran, applied, whose = bench.plan_and_run([pair])
            status = "not planned" if ran is None else f"status {ran.returncode}"
            good = ran is None or ran.returncode == 4 and applied in ("", "0")
            counts["impossible: refused before the first step" if good else f"impossible: {status}"] += 1
            if not good:
                faults.append((status, pair.name))
                print(f"FAULT {status}: {pair.name} ({refused[pair]})\n{ran.stderr[:1500]}", flush=True)
    for what, count in counts.items():
        print(f"{count:6} {what}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
