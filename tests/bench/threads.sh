#!/usr/bin/env bash
# Compares the CPU time of one thread and of two on a journal of one file, in turn. Prints medians of user and system time,
# of page faults, and their ratio as a table. Needs systemd-journal-remote, which makes the journal, and python3.
#
#     tests/bench/threads.sh [ENTRIES] [ROUNDS] > tests/bench/runs/NAME.md
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/shared.sh
source tests/bench/shared.sh

entries=${1:-100000}
rounds=${2:-15}
corpus=${CARGO_TARGET_DIR:-target}/release/bench-corpus/journal-$entries-1
make_journal "$corpus" "$entries" 1

echo "$("$katalog" --version), $(rustc --version)"
echo
echo "\`tests/bench/threads.sh\`: medians of $rounds rounds on $entries entries; CPU seconds and page faults of a run"
echo
python3 - "$katalog" "$corpus" "$rounds" << 'PYTHON'
import os, statistics, sys

program, corpus, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])

def run(arguments):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(program, [program, "--stats", "none", *arguments, corpus])
    _, status, usage = os.wait4(child, 0)
    assert status == 0, arguments
    return usage.ru_utime, usage.ru_stime, usage.ru_minflt

print("| entries | threads | user | system | page faults | CPU, of one thread |")
print("|---|---|---|---|---|---|")
for label, flags in [("of Kata", []), ("all", ["--keep=*", "--others=pass"])]:
    results = {1: [], 2: []}
    for _ in range(rounds):
        for threads, runs in results.items():
            runs.append(run(["--threads", str(threads), *flags]))
    for threads, runs in results.items():
        user, system, faults = (statistics.median(column) for column in zip(*runs))
        ratio = statistics.median((a[0] + a[1]) / (b[0] + b[1]) for a, b in zip(runs, results[1]))
        print(f"| {label} | {threads} | {user:.3f} | {system:.3f} | {faults:.0f} | {ratio:.2f} |")
PYTHON
