#!/usr/bin/env bash
# How long somebody waits who clones the project: builds and tests in a fresh clone with an empty target folder, crates already downloaded.
# Prints one line for each figure: the better of RUNS runs (default 2). FIGURES chooses among up, test, gate, edit, dist.
# On a machine that does other work, the figures mean nothing.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
runs=${RUNS:-2}
figures=${FIGURES:-up test gate edit dist}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TERM_COLOR=never
unset CARGO_TARGET_DIR RUSTFLAGS

say() { printf '%-52s %8s   goal %s\n' "$1" "$2" "$3"; }

fresh() {
    rm -rf "$work/clone"
    git clone --quiet "$source" "$work/clone"
    cd "$work/clone"
    cargo fetch --locked --quiet
}

# The wall time of a command in seconds; its output is shown only if it fails.
seconds() {
    local began ended
    began=$(date +%s.%N)
    "$@" >"$work/log" 2>&1 || { tail -50 "$work/log" >&2; exit 1; }
    ended=$(date +%s.%N)
    awk "BEGIN { printf \"%.1f\", $ended - $began }"
}

# The smallest of the times that a function prints, each in a fresh clone.
better() {
    for _ in $(seq "$runs"); do
        fresh
        "$@"
    done | sort -n | head -1
}

up() { seconds cargo run --release --locked -- up; cargo run --quiet --release --locked -- dev stop >/dev/null 2>&1 || true; }
tests() { seconds cargo test --locked; }
gate() { seconds bash .ci/run; }

# One line more in a function of the isolation proof, compiled after everything else was.
edit() {
    cargo build --locked --quiet
    sed -i '0,/) -> Result<Vec<Cost>> {/s//) -> Result<Vec<Cost>> {\n    std::hint::black_box(1);/' src/rls/cost.rs
    if git diff --quiet; then echo "no line was changed in src/rls/cost.rs" >&2; exit 1; fi
    seconds cargo build --locked
}

median() { sort -n | sed -n "$((($1 + 1) / 2))p"; }

# A figure that cannot be measured ends the script.
measure() {
    local value
    value=$(better "$2")
    say "$1" "$value s" "$3"
}

for figure in $figures; do
    case $figure in
        up) measure 'cargo run --release -- up, from nothing' up '240 s' ;;
        test) measure 'cargo test, compile and run' tests '600 s' ;;
        gate) measure '.ci/run' gate '900 s' ;;
        edit) measure 'one line in src/rls changed, cargo build' edit '8 s' ;;
        dist)
            fresh
            cargo build --profile dist --locked --quiet
            binary=target/dist/af-db
            say 'shipped binary' "$(awk "BEGIN { printf \"%.1f\", $(stat -c %s "$binary") / 1e6 }") MB" '25 MB'
            tar -cf "$work/dist.tar" -C "$(dirname "$binary")" "$(basename "$binary")"
            zstd -q -19 --long "$work/dist.tar" -o "$work/dist.tar.zst"
            say 'shipped binary as .tar.zst' "$(awk "BEGIN { printf \"%.1f\", $(stat -c %s "$work/dist.tar.zst") / 1e6 }") MB" '9 MB'
            times=$(for _ in $(seq 21); do began=$(date +%s%N); "$binary" --version >/dev/null; echo $((($(date +%s%N) - began) / 1000)); done)
            say '--version, median of 21' "$(echo "$times" | median 21 | awk '{ printf "%.1f", $1 / 1000 }') ms" '5 ms'
            ;;
        *) echo "no figure $figure" >&2; exit 1 ;;
    esac
done
