#!/usr/bin/env python3
"""Compares what af-db observes with what squawk and eugene find in the same statements, as a Markdown table.

    cargo bench --bench observe -- verdicts tests/cases/observe/statements.sql > verdicts.tsv
    benches/linters.py verdicts.tsv [--af-db PATH] [--squawk PATH] [--eugene PATH] [--server "-H HOST -p PORT -U USER" --template DATABASE]

`--af-db` adds what its rules say of the text alone; `--server` adds what `eugene trace` sees: it runs each statement in a
copy of the template, a database where tests/cases/observe/schema.sql was run. Its tables are empty, as they are on the
server that eugene makes itself, and as af-db's are.

Each statement is given to each tool as a file of its own. A statement hurts when it writes a table anew, reads or indexes
one under a lock that holds up writers, or loses rows; that is what happened to filled tables (`cargo test --test it
observe::hazards` holds the observer to it). A tool that says anything which is not mere style about such a statement has
found it; one that says so of a harmless statement is false.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

# What is a matter of taste, of repeating a script, or of what stands around the statement.
STYLE = {
    "prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity", "prefer-robust-stmts",
    "prefer-text-field", "prefer-timestamp-tz", "ban-char-field", "require-timeout-settings",
    "require-lock-timeout", "require-statement-timeout", "require-enum-value-ordering", "identifier-too-long",
    "ban-uncommitted-transaction", "E4", "E9", "W12", "W13", "E3",
    "E15",  # Every foreign key of the database that has no index, at every statement.
}
# What breaks running code, of which the observer says nothing.
COMPATIBILITY = ("renaming-", "ban-drop-not-null", "ban-drop-default", "ban-set-schema", "ban-alter-identity",
                 "ban-drop-view", "ban-drop-function", "ban-drop-type", "ban-drop-domain", "ban-drop-sequence",
                 "ban-drop-constraint", "ban-drop-extension", "ban-drop-generated-expression")


def squawk(path, file):
    ran = subprocess.run([path, "--pg-version", "15", "--assume-in-transaction", "--reporter", "json", file],
                         capture_output=True, text=True, check=False)
    found = json.loads(ran.stdout or "[]")
    return {item["rule_name"] for item in found if item["rule_name"] != "syntax-error"}


def eugene(path, file, *how):
    ran = subprocess.run([path, *(how or ["lint"]), "--format", "json", file], capture_output=True, text=True, check=False)
    found = json.loads(ran.stdout or "{}")
    return {hint["id"] for one in found.get("statements", []) for hint in one.get("triggered_rules", [])}


def traced(path, file, server, template, before):
    """Runs eugene trace in a fresh copy: what no transaction holds would stay for the next statement."""
    to = [word.replace("-H", "-h") for word in server]
    for command in ("DROP DATABASE IF EXISTS eugene_trace", f"CREATE DATABASE eugene_trace TEMPLATE {template}"):
        subprocess.run(["psql", "-qX", *to, "-d", "postgres", "-c", command], check=True, capture_output=True)
    if before:
        subprocess.run(["psql", "-qX", *to, "-d", "eugene_trace", "-c", before], check=True, capture_output=True)
    return eugene(path, file, "trace", "--disable-temporary", *server, "-d", "eugene_trace")


def af_db(path, file):
    project = pathlib.Path(file).with_name("project")
    (project / "migrations").mkdir(parents=True, exist_ok=True)
    (project / ".git").mkdir(exist_ok=True)
    (project / "migrations" / "V1__one.sql").write_text(pathlib.Path(file).read_text())
    ran = subprocess.run([path, "validate", "--offline", "--json"], capture_output=True, text=True, check=False, cwd=project)
    found = json.loads(ran.stdout or "{}")
    return {finding["code"] for finding in found.get("findings", []) if finding["severity"] != "note"}


def serious(codes):
    return {code for code in codes if code not in STYLE and not code.startswith(COMPATIBILITY)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verdicts")
    parser.add_argument("--squawk")
    parser.add_argument("--eugene")
    parser.add_argument("--af-db")
    parser.add_argument("--server", type=str.split)
    parser.add_argument("--template")
    arguments = parser.parse_args()

    def trace(path, file):
        return traced(path, file, arguments.server, arguments.template, before)

    tools = [(name, run, path) for name, run, path in (
        ("af-db, text alone", af_db, arguments.af_db), ("squawk", squawk, arguments.squawk),
        ("eugene lint", eugene, arguments.eugene), ("eugene trace", trace, arguments.server and arguments.eugene)) if path]
    score = {name: dict(found=0, missed=[], false=[], silent=0) for name, _, _ in tools}
    hurts = harmless = 0
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "one.sql")
        for line in pathlib.Path(arguments.verdicts).read_text().splitlines():
            verdict, statement = line.split("\t", 1)
            statement, _, note = statement.partition("; -- ")
            statement = statement.rstrip(";") + ";"
            before = note.removeprefix("after ") if note.startswith("after ") else ""
            hurts += verdict == "hurts"
            harmless += verdict == "harmless"
            file.write_text(statement + "\n")
            for name, run, path in tools:
                said = serious(run(path, str(file)))
                kept = score[name]
                if verdict == "hurts":
                    if said:
                        kept["found"] += 1
                    else:
                        kept["missed"].append(statement)
                elif said:
                    kept["false"].append(f"{statement} ({', '.join(sorted(said))})")
                else:
                    kept["silent"] += 1
    print(f"| of {hurts + harmless} statements | found of {hurts} that hurt | missed | false | rightly silent of {harmless} |")
    print("|---|---|---|---|---|")
    print(f"| af-db, observed | {hurts} | 0 | 0 | {harmless} |")
    for name, kept in score.items():
        print(f"| {name} | {kept['found']} | {len(kept['missed'])} | {len(kept['false'])} | {kept['silent']} |")
    for name, kept in score.items():
        for what in ("missed", "false"):
            print(f"\n{name}, {what}:\n")
            for statement in kept[what]:
                print(f"- `{statement}`")


if __name__ == "__main__":
    main()
