#!/usr/bin/env bash
# Counts the instructions that katalog needs for each byte of inputs that are made to cost much, and its peak memory. Each
# shape is compared with the clean lines of its format, and with itself at a sixteenth of its dimension. Needs valgrind and
# python3.
#
#     tests/bench/hostile.sh > tests/bench/runs/NAME.md
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/shared.sh
source tests/bench/shared.sh
program=$(realpath "$katalog")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
ln -s "$program" katalog

# Writes the input $1 with the dimension $2 to standard output, a megabyte of lines.
make() {
    python3 - "$1" "$2" << 'PYTHON'
import json, sys
shape, size = sys.argv[1], int(sys.argv[2])
TIME = 'time="2024-03-05T05:01:54.811777275Z" level=info msg="'
END = ' name=containerd-shim-v2 pid=4711 sandbox=201a907ebb971597 source=virtcontainers'
OBJECT = '"level":"info","msg":"x","name":"kata-runtime","source":"runtime","time":"2024-03-05T05:01:54Z"'
ENTRY = '"__REALTIME_TIMESTAMP":"1709614914163108","_TRANSPORT":"syslog","_UID":"0","SYSLOG_IDENTIFIER":"kata"'
def text(part): return TIME + part * size + '"' + END
def keys(form): return TIME + 'x" ' + ' '.join(form % number for number in range(size)) + END
def members(head, form): return '{' + ','.join([head] + [form % number for number in range(size)]) + '}'
lines = {
    'logfmt': lambda number: TIME + 'starting" container=%064x' % number + END,
    'one key again and again': lambda number: keys('a=%d'),
    'many keys': lambda number: keys('key%d=v'),
    'keys with equal hashes': lambda number: keys('12345678%04d87654321=v'),
    'Cyrillic': lambda number: text('запуск '),
    'accents': lambda number: text('démarré '),
    'quotes': lambda number: text(r'\"a\",'),
    'escaped controls': lambda number: text(r'\x01'),
    'controls': lambda number: text('\x01'),
    'separators': lambda number: text('s:'),
    'keys of secrets': lambda number: text('token:'),
    'secrets': lambda number: text('password=x '),
    'open environments': lambda number: text('env: ['),
    'backslashes': lambda number: text('\\\\'),
    'brackets': lambda number: TIME + 'x" a=' + '{' * size + END,
    'JSON': lambda number: '{%s,"container":"%064x"}' % (OBJECT, number),
    'JSON, one key again and again': lambda number: members(OBJECT, '"a":"%d"'),
    'JSON, many keys': lambda number: members(OBJECT, '"key%d":"v"'),
    'JSON, depth': lambda number: '{%s,"a":%s1%s}' % (OBJECT, '[' * size, ']' * size),
    'journal': lambda number: '{%s,"MESSAGE":%s}' % (ENTRY, json.dumps(lines['logfmt'](number))),
    'journal, one field again and again': lambda number: members(ENTRY + ',"MESSAGE":"x"', '"A":"%d"'),
    'journal, many fields': lambda number: members(ENTRY + ',"MESSAGE":"x"', '"A%d":"v"'),
}
written = number = 0
while written < 1 << 20:
    line = lines[shape](number) + '\n'
    sys.stdout.write(line)
    written += len(line.encode())
    number += 1
PYTHON
}

# Prints the instructions for each byte of input and output of an input.
per_byte() {
    env -i valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file=counts \
        ./katalog "$1" --threads 1 --stats none > output
    awk -v bytes="$(($(stat -c %s "$1") + $(stat -c %s output)))" '$2 == "Collected" { printf "%.1f", $4 / bytes }' counts
}

# Prints the peak memory of a run in MiB.
peak() {
    python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' ./katalog "$1" --threads 1 --stats none
}

echo "$("./katalog" --version), $(rustc --version), $(valgrind --version)"
echo
echo "\`tests/bench/hostile.sh\`: instructions for each byte of input and output, one thread; peak memory in MiB"
echo
echo "| shape | size / 16 | size | of clean lines | peak |"
echo "|---|---|---|---|---|"
while IFS='|' read -r shape size; do
    make "$shape" $((size / 16 > 0 ? size / 16 : 1)) > small
    make "$shape" "$size" > large
    small=$(per_byte small) large=$(per_byte large)
    case "$shape" in logfmt | JSON | journal) clean=$large ;; esac
    awk -v shape="$shape" -v small="$small" -v large="$large" -v clean="$clean" -v peak="$(peak large)" \
        'BEGIN { printf "| %s | %.1f | %.1f | %.1f | %d |\n", shape, small, large, large / clean, peak }'
done << 'SHAPES'
logfmt|1
one key again and again|480
many keys|480
keys with equal hashes|480
Cyrillic|1600
accents|1600
quotes|1600
escaped controls|1600
controls|1600
separators|1600
keys of secrets|1600
secrets|1600
open environments|1600
backslashes|1600
brackets|1600
JSON|1
JSON, one key again and again|480
JSON, many keys|480
JSON, depth|1600
journal|1
journal, one field again and again|480
journal, many fields|480
SHAPES
