#!/usr/bin/env bash
# Compares journal-file with other readers of journal files, in turn, and prints CPU time, ratios and peak memory as a
# table, then the effect of a file that gets shorter. Only ratios mean anything on a machine that others use too. Needs
# the headers of libsystemd, GNU time, and systemd-journal-remote where no JOURNAL is given.
#
#     tests/bench/journal-readers/run.sh [ROUNDS] [JOURNAL] > tests/bench/runs/NAME.md
#
# JOURNAL is a directory of journal files. Without it a journal of 300,000 entries is made. READERS in the environment
# names the readers; the others are compared with the first.
set -euo pipefail
given=${2:+$(realpath "$2")}
cd "$(dirname "$0")/../../.."
# shellcheck source=tests/bench/shared.sh
source tests/bench/shared.sh

rounds=${1:-9}
target=${CARGO_TARGET_DIR:-target}/release
journal=${given:-$target/bench-corpus/journal-300000-4}
package=tests/bench/journal-readers
build=$target/journal-readers
program=$build/release/journal-readers
read -ra readers <<< "${READERS:-ours sdjournal sdk libsystemd}"
features=()
[[ " ${readers[*]} " = *" ours "* ]] || features=(--no-default-features)

# sdjournal asks for a newer Rust than it needs.
cargo build --quiet --release --locked --ignore-rust-version "${features[@]}" --manifest-path $package/Cargo.toml \
    --target-dir "$build"
if [ -z "$given" ]; then
    make_journal "$journal" 300000 4
fi
work=$(mktemp --directory --tmpdir="$target")
trap 'rm -rf "$work"' EXIT

# Prints the CPU milliseconds of a reader and its peak KiB. The shell counts CPU time in milliseconds, GNU time in hundredths.
cpu() {
    local TIMEFORMAT='%3U %3S'
    { time env time -f %M -o "$work/peak" taskset -c 0 "$program" "$1" "$journal" > "$work/totals"; } 2>&1 |
        awk '{ printf "%.0f ", ($1 + $2) * 1000 }'
    cat "$work/peak"
}

# Checks that all readers find the same. This also brings the files into memory.
for reader in "${readers[@]}"; do
    "$program" "$reader" "$journal" > "$work/$reader.totals"
    if ! cmp --silent "$work/${readers[0]}.totals" "$work/$reader.totals"; then
        echo "${readers[0]} finds $(cat "$work/${readers[0]}.totals"); $reader finds $(cat "$work/$reader.totals")" >&2
        exit 1
    fi
done

for ((round = 0; round < rounds; round++)); do
    for reader in "${readers[@]}"; do
        cpu "$reader" >> "$work/$reader"
    done
done

# Sorts column $2 of the file $1 and prints its median, minimum and maximum.
spread() {
    awk -v column="$2" '{ print $column }' "$1" | sort -n |
        awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)], value[1], value[NR] }'
}

# Prints the version of a crate in the lock file.
version() { awk -v name="\"$1\"" '$1 == "name" { found = $3 == name } found && $1 == "version" { gsub("\"", "", $3); print $3 }' $package/Cargo.lock; }

echo "$(rustc --version), sdjournal $(version sdjournal), systemd-journal-sdk $(version systemd-journal-sdk), libsystemd $(pkg-config --modversion libsystemd), $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores"
echo
echo "\`tests/bench/journal-readers/run.sh $rounds\`: $rounds rounds in turn on one core, user and system CPU time"
echo
echo "The journal has $(find "$journal" -name '*.journal' | wc -l) files of $(du -sm --apparent-size "$journal" | cut -f 1) MiB, and all readers find the same: $(cat "$work/${readers[0]}.totals")."
echo
echo "| reader | CPU ms, median | min | max | times the CPU of ${readers[0]} (median of ratios) | peak MiB |"
echo "|---|---|---|---|---|---|"
for reader in "${readers[@]}"; do
    read -r median min max < <(spread "$work/$reader" 1)
    paste "$work/$reader" "$work/${readers[0]}" | awk '{ print $1 / $3 }' > "$work/ratios"
    read -r ratio _ < <(spread "$work/ratios" 1)
    read -r _ _ peak < <(spread "$work/$reader" 2)
    awk -v reader="$reader" -v median="$median" -v min="$min" -v max="$max" -v ratio="$ratio" -v peak="$peak" \
        'BEGIN { printf "| %s | %d | %d | %d | %.2f | %.0f |\n", reader, median, min, max, ratio, peak / 1024 }'
done

# Prints how the reader $1 ends on a copy of the file $2 that is halved after $3 entries.
cut_short() {
    local status=0 read
    cp "$2" "$work/cut.journal"
    # The inner shell reports the signal on its standard error.
    (ulimit -c 0; "$program" "$1" "$work/cut.journal" "$3" > "$work/totals" 2> "$work/message") 2> /dev/null || status=$?
    read=$(cut -d , -f 1 "$work/totals")
    case $status in
        0) echo "ends after $read, $([ -s "$work/message" ] && echo "with a message" || echo "silently")" ;;
        1) echo "error after $read: $(sed "s/^[^:]*: //; s#$work/##g" "$work/message")" ;;
        101) echo "panic" ;;
        135) echo "killed by SIGBUS" ;;
        *) echo "exit code $status" ;;
    esac
}

file=$(find "$journal" -name '*.journal' | sort | tail -n 1)
entries=$("$program" "${readers[0]}" "$file" | cut -d ' ' -f 1)
after=$((entries / 10))
echo
echo "A file of $entries entries that loses its second half:"
echo
echo "| reader | before it is opened | after $after entries are read |"
echo "|---|---|---|"
for reader in "${readers[@]}"; do
    echo "| $reader | $(cut_short "$reader" "$file" 0) | $(cut_short "$reader" "$file" "$after") |"
done
