#!/usr/bin/env bash
# A katalog ($PROGRAM) that has a fault, to try the crash harness on. With FAULT=loses it goes on after each start with
# what is written from then on, with FAULT=repeats from where it was when it was killed first.
for argument; do
    if [ "$name" = --state-dir ]; then state=$argument; fi
    name=$argument
done
if [ "$FAULT" = loses ]; then
    rm -rf "${state:?}"/*
    set -- "$@" --lines 0
elif [ -e "$state.first" ]; then
    rm -rf "$state" && cp -r "$state.first" "$state"
elif [ "$(ls "$state")" ]; then
    cp -r "$state" "$state.first"
fi
exec "$PROGRAM" "$@"
