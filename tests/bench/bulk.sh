#!/usr/bin/env bash
# Measures the conversion of the journals of several machines, half of them compressed, on one thread and on two, in turn,
# and next to journalctl on the same files. CPU time says what it costs, the time on the wall what the second core is
# good for; the latter means something only while nobody else uses the machine. Needs systemd-journal-remote, which makes
# the journals, and GNU time.
#
#     tests/bench/bulk.sh [ENTRIES] [MACHINES] [ROUNDS] > tests/bench/runs/NAME.md
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/shared.sh
source tests/bench/shared.sh

entries=${1:-330000}
machines=${2:-8}
rounds=${3:-5}
target=${CARGO_TARGET_DIR:-target}/release
corpus=$target/bench-corpus/machines-$entries-$machines
measure=$target/bench-corpus/measure

cargo build --quiet --release --locked --bin katalog --example fixtures

if [ ! -d "$corpus" ]; then
    rm -rf "$corpus.part"
    for ((number = 0; number < machines; number++)); do
        mkdir -p "$corpus.part/node$number"
        compress=$([ $((number % 2)) = 0 ] && echo yes || echo no)
        "$target/examples/fixtures" node-export --entries "$entries" | machine "$number" |
            /lib/systemd/systemd-journal-remote --compress="$compress" --output "$corpus.part/node$number/system.journal" - \
                2> "$measure.messages" || { cat "$measure.messages" >&2; exit 1; }
    done
    mv "$corpus.part" "$corpus"
fi

# CPU seconds, seconds on the wall and peak MiB of a command.
run() {
    env time -f '%U %S %e %M' -o "$measure" "$@" > /dev/null
    awk '{ printf "%.2f %.2f %.0f\n", $1 + $2, $3, $4 / 1024 }' "$measure"
}

# Medians of the columns of a command's rounds.
row() {
    awk -v label="$1" '
        function median(values,    i, j, swap) {
            for (i = 1; i <= NR; i++) for (j = i + 1; j <= NR; j++)
                if (values[j] < values[i]) { swap = values[i]; values[i] = values[j]; values[j] = swap }
            return values[int((NR + 1) / 2)]
        }
        { cpu[NR] = $1; wall[NR] = $2; if ($3 > peak) peak = $3 }
        END { printf "| %s | %.2f | %.2f | %d |\n", label, median(cpu), median(wall), peak }'
}

files=$(find "$corpus" -name '*.journal*' | wc -l)
size=$(du -sm --apparent-size "$corpus" | cut -f 1)
# One file that no other takes turns with: what the machines together are held against, by entry.
single=$(find "$corpus/node0" -name '*.journal*' | sort | head -n 1)
of_single=$("$katalog" --stats json "$single" 2>&1 > /dev/null | jq .read)
of_all=$("$katalog" --stats json "$corpus"/* 2>&1 > /dev/null | jq .read)

for flags in "" "--format journal-json"; do
    for ((round = 0; round < rounds; round++)); do
        for threads in 1 2; do
            # shellcheck disable=SC2086 # several flags
            run "$katalog" --stats none --threads "$threads" $flags "$corpus"/* >> "$measure.$threads$flags"
        done
        # shellcheck disable=SC2086
        run bash -c 'for run in 1 2 3 4 5 6 7 8; do "$@"; done' - "$katalog" --stats none --threads 1 $flags "$single" \
            >> "$measure.single$flags"
    done
done
theirs=$(run journalctl --quiet --file "$corpus/*/*.journal" -o json)

echo "$(rustc --version), $(journalctl --version | sed -n 1p), $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores"
echo
echo "\`${measured}tests/bench/bulk.sh $entries $machines $rounds\`: medians of $rounds rounds in turn, output to /dev/null"
echo
echo "$machines machines, $of_all entries in $files files of $size MiB, half of the machines compressed. The single file has $of_single entries and is read eight times."
echo
echo "| | CPU s | wall s | peak MiB |"
echo "|---|---|---|---|"
for flags in "" "--format journal-json"; do
    for threads in 1 2; do
        row "katalog --threads $threads $flags" < "$measure.$threads$flags"
    done
    row "katalog --threads 1 $flags, the single file eight times" < "$measure.single$flags"
done
echo "$theirs" | row "journalctl --file … -o json, all entries in one order"
rm -f "$measure".*
