#!/usr/bin/env bash
# A client of the forward protocol that is right and no more, to try the crash harness on. It reads a log and its
# rotated files, and knows the lines by their numbers. With FAULT it makes a mistake that the harness has to find:
# `early` saves the position before the ack, `late` saves it every tenth time only, `ids` makes new ids each time.
export LC_ALL=C
# A connection that is cut is no reason to end.
trap '' PIPE
while [ $# -gt 0 ]; do
    case $1 in
    --follow) log=$2 ;;
    --to) port=${2##*:} ;;
    --state-dir) state=$2 ;;
    esac
    shift
done
next=$(cat "$state/next" 2>/dev/null || echo 0)

numbers() { # those that follow each other from `next` on
    zcat -qf "$log".*.gz "$log".[1-9] "$log" 2>/dev/null |
        sed -n 's/.* msg="line \([0-9]*\) of.* subsystem=qemu$/\1/p' | sort -nu |
        awk -v want="$next" '$1 == want && count < 200 { print; count++; want++ }'
}

request() { # one in Forward mode; an entry has message and id
    printf '\x93\xa4kata\xdc\x00'"\\x$(printf %02x $#)"
    for number; do
        printf '\x92\xce\x5e\x4f\xb1\x7f\x82\xa8kata_msg\xadline %08d\xa2id\xa9%c%08d' "$number" "$mark" "$number"
    done
    printf '\x81\xa5chunk\xb8%s' "$chunk"
}

save() {
    # Where there is no room, the position of before stays.
    echo "$next" 2>/dev/null >"$state/next.new" && mv "$state/next.new" "$state/next"
}

round=0
while :; do
    mapfile -t batch < <(numbers)
    if [ ${#batch[@]} = 0 ]; then
        sleep 0.02
        continue
    fi
    printf -v chunk '%021dA==' "${batch[0]}"
    mark=r
    if [ "$FAULT" = ids ]; then mark=$((RANDOM % 10)); fi
    if [ "$FAULT" = early ]; then
        next=$((batch[-1] + 1))
        save
    fi
    if ! [ "$connected" ]; then
        { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || {
            sleep 0.02
            continue
        }
        connected=yes
    fi
    request "${batch[@]}" | cat >&3 2>/dev/null
    if IFS= read -r -t 5 -N 30 ack <&3 && [ "${ack:6}" = "$chunk" ]; then
        next=$((batch[-1] + 1))
        round=$((round + 1))
        if [ "$FAULT" != late ] || [ $((round % 10)) = 0 ]; then save; fi
    else
        exec 3>&-
        connected=
    fi
done
