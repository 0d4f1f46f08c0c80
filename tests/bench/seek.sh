#!/usr/bin/env bash
# Measures how two builds of katalog find the end of a journal: by time and by number. Prints CPU milliseconds and
# instructions as a table. Exits with 1 if the builds find different entries. Needs systemd-journal-remote, which makes the
# journal, GNU time and valgrind.
#
#     tests/bench/seek.sh BASELINE NEW [ENTRIES] [FILES] [ROUNDS] > tests/bench/runs/NAME.md
set -euo pipefail
baseline=$(realpath "${1:?the program to compare with}")
new=$(realpath "${2:?the program to measure}")
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/shared.sh
source tests/bench/shared.sh

entries=${3:-300000}
files=${4:-4}
rounds=${5:-9}
# GNU time counts in hundredths of a second.
repeats=20
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release
corpus=$target/bench-corpus/journal-$entries-$files
measure=$target/bench-corpus/measure
make_journal "$corpus" "$entries" "$files"

# The time of the entry before which all but 3000 lie, in seconds since 1970. This also brings the files into memory.
since=@$("$new" --format export "$corpus" | grep --text '^__REALTIME_TIMESTAMP=' | tail -n 3000 | head -n 1 |
    sed 's/.*=\(.*\)\(......\)$/\1.\2/')

# CPU milliseconds of a run of $1 with the other arguments, on one core.
cpu() {
    # shellcheck disable=SC2016 # the inner shell's words
    env time -f '%U %S' -o "$measure" taskset -c 0 bash -c 'for ((run = 0; run < $0; run++)); do "$@"; done' \
        "$repeats" "$@" > /dev/null
    awk -v repeats="$repeats" '{ print ($1 + $2) * 1000 / repeats }' "$measure"
}

instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 > /dev/null | awk '/Collected/ { print $4 / 1e6 }'
}

median() {
    sort -n | awk '{ values[NR] = $1 } END { print values[int((NR + 1) / 2)] }'
}

echo "\`tests/bench/seek.sh BASELINE NEW $entries $files $rounds\`: medians of $rounds rounds in turn on one core"
echo
echo '| flags | CPU ms, before | now | million instructions, before | now |'
echo '|---|---|---|---|---|'
for flags in "--since $since --format export" "--since $since" '--lines 3000 --format export' '--lines 3000' \
    '--lines 10' '--since 2040-01-01'; do
    # shellcheck disable=SC2206 # several words
    run=(--threads 1 --stats none --progress never $flags "$corpus")
    if ! cmp <("$baseline" "${run[@]}" 2>&1) <("$new" "${run[@]}" 2>&1) >&2; then
        echo "the builds differ: $flags" >&2
        exit 1
    fi
    before=() now=()
    for ((round = 0; round < rounds; round++)); do
        before+=("$(cpu "$baseline" "${run[@]}")")
        now+=("$(cpu "$new" "${run[@]}")")
    done
    printf '| `%s` | %.1f | %.1f | %.1f | %.1f |\n' "${flags/$since/TIME}" \
        "$(printf '%s\n' "${before[@]}" | median)" "$(printf '%s\n' "${now[@]}" | median)" \
        "$(instructions "$baseline" "${run[@]}")" "$(instructions "$new" "${run[@]}")"
done
