#!/usr/bin/env bash
# Makes the journal of a node for the benches: a directory with one live file and archived ones, as rotation leaves them,
# with one numbering of all entries. Needs systemd-journal-remote.
#
#     tests/bench/journals.sh DIR [ENTRIES] [FILES]
#
# 30 of a hundred entries are Kata's. systemd begins a new file by itself where one gets too full, which is after about
# 100,000 entries, so there may be more files than FILES. SYSTEMD_JOURNAL_COMPACT=0 and SYSTEMD_JOURNAL_KEYED_HASH=0
# in the environment give older formats.
set -euo pipefail
mkdir -p "${1:?where to}"
directory=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

entries=${2:-300000}
files=${3:-4}
target=${CARGO_TARGET_DIR:-target}/release
remote=/lib/systemd/systemd-journal-remote
live=$directory/system.journal

if [ -n "$(ls -A "$directory")" ]; then
    echo "$directory is not empty" >&2
    exit 1
fi
cargo build --quiet --release --locked --example fixtures
for ((file = 0; file < files; file++)); do
    from=$((entries * file / files))
    to=$((entries * (file + 1) / files))
    if ((file > 0)); then
        # systemd rotates a file with a chain of more than a hundred values of one hash. The length of the longest is the
        # number at 240.
        printf '\x65' | dd of="$live" bs=1 seek=240 conv=notrunc status=none
    fi
    "$target/examples/fixtures" node-export --skip "$from" --entries $((to - from)) |
        "$remote" --output "$live" - 2> "$directory/messages" || { cat "$directory/messages" >&2; exit 1; }
done
rm "$directory/messages"
ls -l "$directory"
