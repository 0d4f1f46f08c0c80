#!/usr/bin/env bash
# Measures the whole program against other programs on the same input, in turn, and prints CPU seconds, ratios and peak
# memory as a table. Only ratios mean anything on a machine that others use too. Needs jq and GNU time.
#
#     tests/bench/run.sh [SIZE] [ROUNDS] > tests/bench/runs/NAME.md
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/shared.sh
source tests/bench/shared.sh

size=${1:-200M}
rounds=${2:-5}
target=${CARGO_TARGET_DIR:-target}/release
corpus=$target/bench-corpus
measure=$corpus/measure

cargo build --quiet --release --locked --bin katalog --example fixtures --example yardstick
mkdir -p "$corpus"
for kind in logfmt-file runtime-json node-json; do
    "$target/examples/fixtures" $kind --size "$size" > "$corpus/$kind"
done

# CPU seconds and peak KiB of a command that reads the file $1.
cpu() {
    local file=$1
    shift
    env time -f '%U %S %M' -o "$measure" "$@" < "$file" > /dev/null
    awk '{ print $1 + $2, $3 }' "$measure"
}

# Runs katalog and another command in turn on the file $2; a line of the table with the medians of each and of the ratio.
pair() {
    local label=$1 file=$corpus/$2 ours theirs
    shift 2
    for ((round = 0; round < rounds; round++)); do
        ours=$(cpu "$file" "$katalog" --threads 1 --stats none -)
        theirs=$(cpu "$file" "$@")
        echo "$ours $theirs"
    done | medians "$label" "$(stat -c %s "$file")" 1e6 2
}

echo "$(rustc --version), $(jq --version), $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores"
echo
echo "\`${measured}tests/bench/run.sh $size $rounds\`: medians of $rounds rounds in turn, CPU time, one thread, output to /dev/null"
echo
echo "| input, and what it is compared with | katalog MB/s | other MB/s | times as fast | katalog peak MiB |"
echo "|---|---|---|---|---|"
yardstick=$target/examples/yardstick
pair "logfmt file, pairs found and copied as fields, none read (\`yardstick pairs\`)" logfmt-file "$yardstick" pairs
pair "logfmt file, lines found and copied (\`yardstick lines\`)" logfmt-file "$yardstick" lines
pair "logfmt file, crate \`logfmt\`, nothing written (\`yardstick logfmt\`)" logfmt-file "$yardstick" logfmt
pair "kata-runtime JSON, \`jq -c .\`" runtime-json jq -c .
pair "\`journalctl -o json\` of a node, \`jq -c .\`" node-json jq -c .
