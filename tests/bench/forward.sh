#!/usr/bin/env bash
# Measures the delivery of a journal to a forward server against the same records as MessagePack to /dev/null, in turn, and
# prints records a second of CPU time and ratios as a table, with the peak memory of both and of a run whose receiver is
# gone. The server counts and acknowledges; its own time is not counted. Needs what journal.sh needs.
#
#     tests/bench/forward.sh [ENTRIES] [FILES] [ROUNDS] > tests/bench/runs/NAME.md
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/shared.sh
source tests/bench/shared.sh

entries=${1:-300000}
files=${2:-4}
rounds=${3:-5}
repeats=5
target=${CARGO_TARGET_DIR:-target}/release
corpus=$target/bench-corpus/journal-$entries-$files
measure=$target/bench-corpus/measure
state=$target/bench-corpus/state

cargo build --quiet --release --locked --bin katalog --example forward-sink
make_journal "$corpus" "$entries" "$files"

coproc sink { exec "$target/examples/forward-sink" 127.0.0.1:0 2> "$target/bench-corpus/sink"; }
trap 'kill "$sink_PID"' EXIT
read -r port <&"${sink[0]}"
to=(ship --once --to "forward://127.0.0.1:$port")

# CPU seconds of one run, of some in one shell, and peak KiB.
cpu() {
    # shellcheck disable=SC2016 # the inner shell's words
    env time -f '%U %S %M' -o "$measure" bash -c 'for ((run = 0; run < $0; run++)); do rm -rf "$1"; "${@:2}"; done' \
        "$repeats" "$state" "$katalog" "$@" --stats none "$corpus" > /dev/null
    awk -v times="$repeats" '{ print ($1 + $2) / times, $3 }' "$measure"
}

# A line of the table: delivery with these flags beside MessagePack.
pair() {
    local label=$1
    shift
    for ((round = 0; round < rounds; round++)); do
        echo "$(cpu "${to[@]}" "$@") $(cpu --format msgpack)"
    done | medians "$label" "$records" 1e3 2
}

records=$("$katalog" --stats none "$corpus" | wc -l)
cpu "${to[@]}" --no-state > /dev/null
read -r _ _ _ events _ bytes < <(tail -n 1 "$target/bench-corpus/sink")
if ((events != repeats * records)); then
    echo "of $repeats times $records records the server has $events" >&2
    exit 1
fi

echo "$(rustc --version), $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores"
echo
echo "\`${measured}tests/bench/forward.sh $entries $files $rounds\`: medians of $rounds rounds in turn, CPU time of katalog alone"
echo
echo "The journal has $entries entries, and katalog makes $records records of it, $((bytes / repeats / 1000000)) MB of requests. All of them are acknowledged, in every run."
echo
echo "| delivery, and what it is compared with | 1000 records/s/core | MessagePack to /dev/null, the same | as fast | peak MiB |"
echo "|---|---|---|---|---|"
pair "\`ship --to\`, packed" --no-state
pair "\`ship --to --record-id id\`" --no-state --record-id id
pair "\`ship --to --forward-mode gzip\`" --no-state --forward-mode gzip
pair "\`ship --to --state-dir\`, each batch remembered" --state-dir "$state"
echo
env time -f '%M' -o "$measure" "$katalog" ship --once --no-state --stats none --to forward://127.0.0.1:1 --give-up-after 5s \
    "$corpus" 2> /dev/null || true
echo "With a receiver that is gone, and all of the journal waiting, the peak is $(awk 'END { printf "%.1f", $1 / 1024 }' "$measure") MiB."
