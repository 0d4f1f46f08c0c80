#!/usr/bin/env bash
# Measures which ways through the program are taken how often: builds it with counters, and runs it on every kind of input.
# A compiler that is given the outcome puts what is frequent close together.
#
#     packages/profile.sh FILE
#
# Needs systemd-journal-remote, which makes a journal, and llvm-profdata in the version of the compiler's LLVM, from
# `rustup component add llvm-tools` or from a package such as Debian's llvm-22.
set -euo pipefail
mkdir -p "$(dirname "${1:?where to}")"
profile=$(realpath "$1")
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
remote=/lib/systemd/systemd-journal-remote
work=target/profile/work
build=target/profile/build

profdata=
for name in "$(rustc --print target-libdir)/../bin/llvm-profdata" "llvm-profdata-$llvm"; do
    if command -v "$name" >/dev/null; then profdata=$name; fi
done
if [ -z "$profdata" ]; then
    echo "llvm-profdata of LLVM $llvm is not installed: rustup component add llvm-tools" >&2
    exit 69
fi
if [ ! -x $remote ]; then
    echo "$remote is not installed: the package systemd-journal-remote" >&2
    exit 69
fi

rm -rf $work
mkdir -p $work/inputs $work/counts
# Functions are found again by their names, in which the target and the profile of the build are, but not RUSTFLAGS: the former
# have to be as in `make static`. lto=thin takes two thirds of the time of lto=fat.
RUSTFLAGS="-C profile-generate=$PWD/$work/counts -C lto=thin -C debuginfo=0" CARGO_TARGET_DIR=$build \
    cargo build --release --locked --target "$host" --bin katalog
katalog() { "$build/$host/release/katalog" --stats none "$@" > /dev/null; }

for kind in logfmt-file runtime-json node-json node-export runtime-1x shimv2-2x shimv2-3x slog-json native-json console \
    manager cri docker syslog damage; do
    cargo run --quiet --locked --example fixtures -- $kind --size 4M > $work/inputs/$kind
    katalog $work/inputs/$kind
done
$remote --output $work/inputs/node.journal - < $work/inputs/node-export 2> $work/messages || { cat $work/messages >&2; exit 1; }
for format in ndjson msgpack csv text export journal-json; do
    katalog --format $format $work/inputs/node.journal
done
"$profdata" merge --output "$profile" $work/counts
rm -r $work
