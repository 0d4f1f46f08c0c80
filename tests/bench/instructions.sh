#!/usr/bin/env bash
# Counts the instructions of two release builds of katalog on every kind of input and output, and compares their outputs.
# Instruction counts are exact on a busy machine too, unlike times. Exits with 1 if an output differs, or if NEW needs
# over LIMIT percent more instructions than BASELINE in any run (2 by default). Needs valgrind, systemd-journal-remote, which
# makes the journals, and systemd-socket-activate, which receives syslog on the ports 5514 and 5515.
#
#     [LIMIT=PERCENT] tests/bench/instructions.sh BASELINE NEW > tests/bench/runs/NAME.md
set -euo pipefail
baseline=$(realpath "${1:?the program to compare with}")
new=$(realpath "${2:?the program to measure}")
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/shared.sh
source tests/bench/shared.sh

limit=${LIMIT:-2}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release
# The last arguments of every run.
flags=(--threads 1 --stats none --fail-if-empty)

# Label and further arguments of each run. The corpora lie in the current directory. Placeholders: OUT is a directory whose
# files are compared, STATE a directory whose files are not, FORWARD and SYSLOG are the URLs of servers.
# shellcheck disable=SC2016 # backticks of Markdown
runs=(
    'logfmt file                        | logfmt-file'
    'logfmt of Kata 1.x                 | runtime-1x'
    'logfmt of the Go shim 3.x          | shimv2-3x'
    'kata-runtime JSON                  | runtime-json'
    'slog JSON                          | slog-json'
    '`journalctl -o json` of a node     | node-json'
    '`journalctl -o json` of runtime-rs | native-json'
    '`journalctl -o export` of a node   | node-export'
    '`journalctl -o short`              | manager'
    'syslog                             | syslog'
    'CRI container file                 | --vouch cri'
    'Docker container file              | --vouch docker'
    'guest console                      | console'
    'plain text                         | --input-format text console'
    'terminal                           | terminal'
    'damaged lines                      | damage'
    'gzip                               | logfmt-file.gz'
    'archive                            | bundle.tar'
    'archive, gzip                      | bundle.tar.gz'
    'journal                            | node.journal'
    'journals of four machines          | machines'
    '`--format journal-json`            | --format journal-json node.journal'
    '`--format export`                  | --format export node.journal'
    '`--format msgpack`                 | --format msgpack node.journal'
    '`--format csv`                     | --format csv node.journal'
    '`--format text`                    | --format text node.journal'
    '`--format text`, colors            | --format text --color always logfmt-file'
    '`--schema ecs`                     | --schema ecs node.journal'
    '`--schema otel`                    | --schema otel node.journal'
    '`--others pass`                    | --others pass node.journal'
    'fields renamed and dropped         | --lowercase --strip-underscores --rename _HOSTNAME=host --drop _* node.journal'
    'fields added                       | --record-id id --tag-key tag --time-key time --delta node.journal'
    '`--sort time`                      | --sort time logfmt-file runtime-json node-json'
    '`--sort time`, temporary files     | --sort time --sort-memory 1M logfmt-file runtime-json node-json'
    '`convert`                          | convert --output-dir OUT node.journal'
    '`convert --compress gzip`          | convert --output-dir OUT --compress gzip node.journal'
    '`convert --compress zstd`          | convert --output-dir OUT --compress zstd node.journal'
    '`--for fluentd-exec`, log file     | ship --for fluentd-exec --once --state-dir STATE logfmt-file'
    '`--for fluent-bit-exec`, journal   | ship --for fluent-bit-exec --once --state-dir STATE node.journal'
    '`--to forward://`                  | ship --once --no-state --to FORWARD --record-id id --batch-age 1h --give-up-after 1m node.journal'
    '`--to syslog+tcp://`               | ship --once --no-state --to SYSLOG --batch-age 1h --give-up-after 1m node.journal'
)

# Prints the arguments $1 of a run in the form of BASELINE. Version 0.1 has no commands, and before there were origins the
# lines of all containers counted.
baseline_form() {
    local arguments=$1
    "$baseline" --help | grep -e --vouch > /dev/null || arguments=${arguments//--vouch /}
    if "$baseline" -h | grep "^  ship " > /dev/null; then
        echo "$arguments"
    else
        sed -E 's/^ *(ship --once --no-state|ship|convert) //' <<< "$arguments"
    fi
}

# Converts the export stream on standard input into the journal file $1. The same stream gives the same bytes: hashes are
# not keyed, and the number $2 replaces the random ids and the id of this machine.
journal() {
    SYSTEMD_JOURNAL_KEYED_HASH=0 /lib/systemd/systemd-journal-remote --output "$1" - 2> messages ||
        { cat messages >&2; exit 1; }
    local id
    id=$(printf '%016d' "$2")
    # The ids of file and machine, and the id of the sequence numbers.
    printf '%s' "$id$id" | dd of="$1" bs=1 seek=24 conv=notrunc status=none
    printf '%s' "$id" | dd of="$1" bs=1 seek=72 conv=notrunc status=none
}

# Makes the corpora in the current directory.
make_corpora() {
    local kind number
    for kind in logfmt-file runtime-1x shimv2-3x runtime-json slog-json node-json native-json node-export manager syslog \
        cri docker console terminal damage; do
        "$target/examples/fixtures" $kind --size 4M > $kind
    done
    "$target/examples/fixtures" node-export --entries 12000 | journal node.journal 1
    for number in 2 3 4 5; do
        mkdir -p machines/node$number
        "$target/examples/fixtures" node-export --entries 3000 | machine $number |
            journal machines/node$number/system.journal $number
    done
    mkdir -p bundle/var/log/kata
    ln -s ../../../../logfmt-file bundle/var/log/kata/kata.log
    ln -s ../../../syslog bundle/var/log/messages
    ln -s ../../../machines bundle/var/log/journal
    tar --dereference --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf bundle.tar bundle
    gzip --no-name --keep logfmt-file bundle.tar
}

# Starts the server that the arguments after $2 ask for, if any. The server listens on the port $1 or on a free one, and
# writes what it receives to the file $2. Sets $server to its process id and $address to its URL.
start_server() {
    local port=$1 received=$2
    shift 2
    case " $* " in
        *" FORWARD "*)
            coproc sink { exec "$target/examples/forward-sink" --ids id --out "$received" 2> /dev/null; }
            server=$sink_PID
            read -r port <&"${sink[0]}"
            address=forward://127.0.0.1:$port
            ;;
        *" SYSLOG "*)
            # shellcheck disable=SC2016 # the inner shell's words
            systemd-socket-activate --accept --inetd --listen "127.0.0.1:$port" \
                sh -c 'cat > "$0.part" && mv "$0.part" "$0"' "$received" 2> /dev/null &
            server=$!
            address=syslog+tcp://127.0.0.1:$port
            ;;
    esac
}

# Runs the program $1 with the arguments after $3 in a subshell. Collects its output in the directory $2, and writes the
# instruction count and a hash of the output to $2.result. $3 is a port for a server.
count() (
    program=$1 out=$2 port=$3 server='' address=''
    shift 3
    rm -rf "$out" "$out".*
    mkdir "$out"
    trap '[ -z "$server" ] || kill "$server"' EXIT
    start_server "$port" "$PWD/$out/received" "$@"
    set -- "${@/#OUT/$out/files}"
    set -- "${@/#STATE/$out.state}"
    set -- "${@/#FORWARD/$address}"
    set -- "${@/#SYSLOG/$address}"
    if ! env -i PATH="$PATH" TZ=UTC valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$out.valgrind" \
        "$program" "$@" "${flags[@]}" > "$out/output" 2> "$out.messages"; then
        echo "$program $* ${flags[*]} failed:" >&2
        cat "$out.messages" >&2
        exit 1
    fi
    # The server may still be writing. A program that sent nothing has another output.
    for ((tries = 0; tries < 100; tries++)); do
        [ -n "$server" ] && [ ! -e "$out/received" ] || break
        sleep 0.1
    done
    {
        awk '$2 == "Collected" { print $4 }' "$out.valgrind"
        cd "$out" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
    } > "$out.result"
)

cargo build --quiet --release --locked --example fixtures --example forward-sink
mkdir -p "$target/bench-corpus"
work=$(mktemp -d "$target/bench-corpus/instructions.XXXXXX")
trap 'wait; rm -rf "$work"' EXIT
cd "$work"
# The length of a program's name shifts its stack, and so the counts.
ln -s "$baseline" program.old
ln -s "$new" program.new
make_corpora

echo "$(rustc --version), $(valgrind --version), $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)"
echo
echo "\`tests/bench/instructions.sh BASELINE NEW\`: millions of instructions, one thread"
echo
echo "BASELINE is $("$baseline" --version), NEW is $("$new" --version)."
echo
echo "| input or output | baseline | new | new / baseline | same output |"
echo "|---|---|---|---|---|"
failed=()
for run in "${runs[@]}"; do
    IFS='|' read -r label arguments <<< "$run"
    read -r label <<< "$label"
    read -ra old_arguments <<< "$(baseline_form "$arguments")"
    read -ra arguments <<< "$arguments"
    count ./program.old old 5514 "${old_arguments[@]}" &
    count ./program.new new 5515 "${arguments[@]}"
    wait $!
    { read -r before && read -r expected; } < old.result
    { read -r after && read -r actual; } < new.result
    same=$([ "$actual" = "$expected" ] && echo yes || echo no)
    [ "$same" = yes ] || failed+=("$label: the output differs")
    awk -v label="$label" -v before="$before" -v after="$after" -v same="$same" -v limit="$limit" 'BEGIN {
        printf "| %s | %.2f | %.2f | %.4f | %s |\n", label, before / 1e6, after / 1e6, after / before, same
        exit after > before * (1 + limit / 100)
    }' || failed+=("$label: more than $limit % more instructions")
done
if [ ${#failed[@]} != 0 ]; then
    printf '%s\n' "${failed[@]}" >&2
    exit 1
fi
