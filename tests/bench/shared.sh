# What the benches beside it have in common: the program, the journal that they read, and the line of a table that they print.
# shellcheck shell=bash

# The program that is measured: that of the release build, or another, such as KATALOG=target/static/katalog.
katalog=${KATALOG:-${CARGO_TARGET_DIR:-target}/release/katalog}
# As the tables name it.
measured=${KATALOG:+KATALOG=$KATALOG }

# Makes the journal DIRECTORY of ENTRIES in FILES, unless it is there.
#
#     make_journal DIRECTORY ENTRIES FILES
make_journal() {
    if [ ! -d "$1" ]; then
        rm -rf "$1.part"
        tests/bench/journals.sh "$1.part" "$2" "$3" >&2
        mv "$1.part" "$1"
    fi
}

# Turns an export stream into that of machine $1: other ids, another name, the same times.
machine() {
    LC_ALL=C sed -e "s/^_MACHINE_ID=.\{8\}/_MACHINE_ID=0000000$1/" -e "s/^_BOOT_ID=.\{8\}/_BOOT_ID=0000000$1/" \
        -e "s/^_HOSTNAME=.*/_HOSTNAME=node$1/"
}

# Reads a line for each round, CPU seconds and peak KiB of katalog and of the other command, and prints label, rates of
# both, how many times as fast, and katalog's peak in MiB: medians of all but the peak.
#
#     medians LABEL AMOUNT UNIT DIGITS
#
# A rate is AMOUNT / UNIT a second; DIGITS are those of the ratio behind its point.
medians() {
    awk -v label="$1" -v amount="$2" -v unit="$3" -v digits="$4" '
        function median(values, count,    i, j, swap) {
            for (i = 1; i <= count; i++) for (j = i + 1; j <= count; j++)
                if (values[j] < values[i]) { swap = values[i]; values[i] = values[j]; values[j] = swap }
            return values[int((count + 1) / 2)]
        }
        { ours[NR] = $1; theirs[NR] = $3; ratio[NR] = $3 / $1; if ($2 > peak) peak = $2 }
        END {
            form = "| %s | %.0f | %.0f | %." digits "f | %.1f |\n"
            o = median(ours, NR); t = median(theirs, NR)
            printf form, label, amount / o / unit, amount / t / unit, median(ratio, NR), peak / 1024
        }'
}
