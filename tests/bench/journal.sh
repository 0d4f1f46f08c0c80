#!/usr/bin/env bash
# Measures the reading of journal files against journalctl on the same directory, in turn, and prints entries a second of
# CPU time, ratios and peak memory as a table. Only ratios mean anything on a machine that others use too. Needs
# systemd-journal-remote, which makes the journal, and GNU time.
#
#     tests/bench/journal.sh [ENTRIES] [FILES] [ROUNDS] > tests/bench/runs/NAME.md
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/shared.sh
source tests/bench/shared.sh

entries=${1:-300000}
files=${2:-4}
rounds=${3:-5}
# GNU time counts in hundredths of a second, and katalog takes some tenths.
repeats=10
target=${CARGO_TARGET_DIR:-target}/release
corpus=$target/bench-corpus/journal-$entries-$files
measure=$target/bench-corpus/measure
katas=(-t kata -t kata-runtime -t kata-proxy -t kata-shim)

cargo build --quiet --release --locked --bin katalog
make_journal "$corpus" "$entries" "$files"

# How many entries an export stream has.
count() { grep --text --count '^__CURSOR='; }

# CPU seconds of one run, of $1 in one shell, and peak KiB of a command.
cpu() {
    local times=$1
    shift
    # shellcheck disable=SC2016 # the inner shell's words
    env time -f '%U %S %M' -o "$measure" bash -c 'for ((run = 0; run < $0; run++)); do "$@"; done' "$times" "$@" > /dev/null
    awk -v times="$times" '{ print ($1 + $2) / times, $3 }' "$measure"
}

# Runs katalog, with the flags before the --, and journalctl, with those behind it, in turn on the journal; a line of the
# table with the medians of each and of the ratio.
pair() {
    local label=$1 flags=() ours theirs
    shift
    while [ "$1" != -- ]; do
        flags+=("$1")
        shift
    done
    shift
    for ((round = 0; round < rounds; round++)); do
        ours=$(cpu $repeats "$katalog" --threads 1 --stats none "${flags[@]}" "$corpus")
        theirs=$(cpu 1 journalctl --quiet --directory "$corpus" "$@")
        echo "$ours $theirs"
    done | medians "$label" "$entries" 1e3 1
}

# Both read all of it. This also brings the files into memory.
ours=$("$katalog" --threads 1 --stats none --format export "$corpus" | count)
theirs=$(journalctl --quiet --directory "$corpus" -o export | count)
if ((ours != entries || theirs != entries)); then
    echo "of $entries entries katalog reads $ours and journalctl $theirs" >&2
    exit 1
fi
records=$("$katalog" --threads 1 --stats none "$corpus" | wc -l)
chosen=$(journalctl --quiet --directory "$corpus" -o export "${katas[@]}" | count)

echo "$(rustc --version), $(journalctl --version | sed -n 1p), $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores"
echo
echo "\`${measured}tests/bench/journal.sh $entries $files $rounds\`: medians of $rounds rounds in turn, CPU time, one thread, output to /dev/null"
echo
echo "The journal has $entries entries in $(find "$corpus" -name '*.journal' | wc -l) files of $(du -sm --apparent-size "$corpus" | cut -f 1) MiB in all, and both read all of them. katalog makes $records records of it; journalctl finds $chosen entries of the four identifiers and does not look into them. Entries are those of the journal, whether a filter leaves them out or not."
echo
echo "| katalog, and what it is compared with | katalog 1000 entries/s/core | journalctl 1000 entries/s/core | times as fast | katalog peak MiB |"
echo "|---|---|---|---|---|"
pair "\`--format journal-json\`, \`journalctl -o json\`" --format journal-json -- -o json
pair "records, \`journalctl -o json ${katas[*]}\`" -- -o json "${katas[@]}"
pair "\`--format export\`, \`journalctl -o export\`" --format export -- -o export

# What every reader has to do, and nothing else.
cat=$(for ((round = 0; round < rounds; round++)); do
    cpu $repeats cat "$corpus"/*.journal
done | sort -n | awk '{ seconds[NR] = $1 } END { print seconds[int((NR + 1) / 2)] }')
echo
echo "\`cat\` of the files takes $cat s of CPU."
