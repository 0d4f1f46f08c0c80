#!/usr/bin/env bash
# Counts the instructions of a release build of katalog for all records, and for those of one sandbox in 200, in a log file
# and in a journal. Needs valgrind and systemd-journal-remote.
#
#     tests/bench/filters.sh KATALOG > tests/bench/runs/NAME.md
set -euo pipefail
katalog=$(realpath "${1:?the program to measure}")
fixtures=$(realpath "${CARGO_TARGET_DIR:-target}/release/examples/fixtures")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Each sandbox has an id of 64 digits, the first of which tell it apart.
"$fixtures" logfmt-file --size 8M | awk '{
    id = sprintf("%08x%056d", (NR * 2654435761) % 200 + 268435456, 7)
    if (!sub(/ sandbox=[0-9a-f]+/, " sandbox=" id)) $0 = $0 " sandbox=" id
    print
}' > log
awk '{
    printf "__REALTIME_TIMESTAMP=%.0f\n__MONOTONIC_TIMESTAMP=%d\n", 1700000000000000 + NR * 1000, NR * 1000
    print "_BOOT_ID=590edceeef5545a784ec8c6181a10400\n_MACHINE_ID=3dd49df65a1b467bac8d51f2eaa17e92\n_HOSTNAME=node1"
    print "PRIORITY=6\n_UID=0\n_GID=0\n_TRANSPORT=syslog\nSYSLOG_IDENTIFIER=kata\n_COMM=containerd-shim"
    print "_SYSTEMD_UNIT=containerd.service\n_EXE=/opt/kata/bin/containerd-shim-kata-v2\n_PID=" 1000 + NR % 50
    print "_CMDLINE=/opt/kata/bin/containerd-shim-kata-v2 -namespace k8s.io -address /run/containerd/containerd.sock"
    print "MESSAGE=" $0 "\n"
}
NR == 20000 { exit }' log > export
/lib/systemd/systemd-journal-remote --output node.journal - < export 2> messages || { cat messages >&2; exit 1; }

count() {
    valgrind --tool=callgrind --callgrind-out-file=callgrind.out "$katalog" --threads 1 --stats none "$@" \
        2> valgrind.txt > records
    sed -n 's/.*Collected : //p' valgrind.txt
}

echo "# Records of one sandbox in 200"
echo
echo "\`tests/bench/filters.sh\`, $("$katalog" --version), $(date -u +%F), instructions."
echo
echo "| input | records | all | of the sandbox | one sandbox | ratio |"
echo "|---|---|---|---|---|---|"
for input in log node.journal; do
    all=$(count "$input") records=$(wc -l < records)
    one=$(count --sandbox 10000007 "$input") chosen=$(wc -l < records)
    [ "$chosen" -gt 0 ] || { echo "no record of the sandbox" >&2; exit 1; }
    awk -v input="$input" -v all="$all" -v one="$one" -v records="$records" -v chosen="$chosen" 'BEGIN {
        printf "| %s | %d | %d | %d | %d | %.2f |\n", input, records, all, chosen, one, all / one }'
done
