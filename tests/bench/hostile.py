#!/usr/bin/env python3
"""Measures inputs that are made to cost much: instructions for each byte of input and output, and peak memory.

    tests/bench/hostile.py PROGRAM > tests/bench/runs/NAME.md
    tests/bench/hostile.py --check PROGRAM

Each shape is compared with the clean input of its format, and with itself at a sixteenth of its size. With --check every
figure has a ceiling, and the exit code is 1 if one is higher. Ratios depend little on the compiler. Needs valgrind and
systemd-journal-remote.
"""

import argparse
import dataclasses
import gzip
import io
import json
import lzma
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

REMOTE = "/lib/systemd/systemd-journal-remote"
# The size of the inputs whose instructions are counted.
BYTES = 128 << 10
# A shape costs at most as many times more for each byte if it has sixteen times the size.
GROWTH = 2.0
# Ceilings of memory in MiB. The goals are 64 for lines and 128 for journals.
LINES, JOURNALS = 32, 64
MIB = 1 << 20

TIME = 'time="2024-03-05T05:01:54.811777275Z" level=info msg="'
END = " name=containerd-shim-v2 pid=4711 sandbox=201a907ebb971597 source=virtcontainers"
OBJECT = '"level":"info","msg":"x","name":"kata-runtime","source":"runtime","time":"2024-03-05T05:01:54Z"'
ENTRY = '"__REALTIME_TIMESTAMP":"1709614914163108","_TRANSPORT":"syslog","_UID":"0","SYSLOG_IDENTIFIER":"kata"'
MESSAGE = ENTRY + ',"MESSAGE":"x"'
EXPORT = "__REALTIME_TIMESTAMP=1709614914163108\n_BOOT_ID=3ad0e9b6f1a24a1e8f3ad0e9b6f1a24a\n_UID=0\nSYSLOG_IDENTIFIER=kata\n"


def letter(number):
    """Returns one of many letters that names cannot have."""
    return chr(0x400 + number)


def text(part):
    return lambda size, number: TIME + part * size + '"' + END


def keys(form):
    return lambda size, number: TIME + 'x" ' + " ".join(form(number) for number in range(size)) + END


def members(head, form):
    return lambda size, number: "{" + ",".join([head] + [form(number) for number in range(size)]) + "}"


def fields(form):
    # Neighbours share no fields. A file with too many different fields or names would be rotated.
    return lambda size, entry: EXPORT + "MESSAGE=x\n" + "\n".join(form(number, entry) for number in range(size)) + "\n"


def clean(number):
    return TIME + f'starting" container={number:064x}' + END


@dataclasses.dataclass
class Shape:
    """A shape of lines or of entries."""

    name: str
    # The number of repetitions in a line.
    size: int
    # The ceiling of the instructions for each byte, in multiples of those of the clean input before. The goal is 4.
    ceiling: float
    line: object
    # The lines are an export stream, from which a journal file is made.
    is_journal: bool = False
    # The ceiling of the growth at sixteen times the size.
    growth: float = GROWTH

    def write(self, size, path):
        """Writes an input of the size, and returns its number of bytes."""
        lines, length = [], 0
        while length < BYTES:
            lines.append((self.line(size, len(lines)) + "\n").encode())
            length += len(lines[-1])
        if self.is_journal:
            journal(b"".join(lines), path)
        else:
            path.write_bytes(b"".join(lines))
        return length


SHAPES = [
    Shape("logfmt", 1, 1.0, lambda size, number: clean(number)),
    Shape("one key again and again", 480, 7.5, keys(lambda number: f"a={number}")),
    Shape("each key twice", 480, 6.5, keys(lambda number: f"key{number // 2}=v")),
    Shape("many keys", 480, 5.0, keys(lambda number: f"key{number}=v")),
    Shape("keys that become one", 480, 16.0, keys(lambda number: letter(number) + "=v")),
    Shape("keys with equal hashes", 480, 5.0, keys(lambda number: f"12345678{number:04}87654321=v")),
    Shape("Cyrillic", 1600, 2.5, text("запуск ")),
    Shape("accents", 1600, 3.0, text("démarré ")),
    Shape("quotes", 1600, 4.5, text(r"\"a\",")),
    Shape("escaped controls", 1600, 5.0, text(r"\x01")),
    Shape("controls", 1600, 3.5, text("\x01")),
    Shape("separators", 1600, 3.5, text("s:")),
    Shape("keys of secrets", 1600, 3.5, text("token:")),
    Shape("secrets", 1600, 6.5, text("password=x ")),
    Shape("open environments", 1600, 4.5, text("env: [")),
    Shape("backslashes", 1600, 3.0, text(r"\\")),
    Shape("brackets", 1600, 1.5, lambda size, number: TIME + 'x" a=' + "{" * size + END),
    Shape("JSON", 1, 1.0, lambda size, number: "{" + OBJECT + f',"container":"{number:064x}"' + "}"),
    Shape("JSON, one key again and again", 480, 6.5, members(OBJECT, lambda number: f'"a":"{number}"')),
    Shape("JSON, many keys", 480, 4.5, members(OBJECT, lambda number: f'"key{number}":"v"')),
    Shape("JSON, depth", 1600, 1.5, lambda size, number: "{" + OBJECT + ',"a":' + "[" * size + "1" + "]" * size + "}"),
    Shape("journal", 1, 1.0, lambda size, number: "{" + ENTRY + ',"MESSAGE":' + json.dumps(clean(number)) + "}"),
    Shape("journal, one field again and again", 480, 8.5, members(MESSAGE, lambda number: f'"A":"{number}"')),
    Shape("journal, many fields", 480, 9.5, members(MESSAGE, lambda number: f'"A{number}":"v"')),
    Shape("journal, fields that become one", 480, 15.0, members(MESSAGE, lambda number: f'"{letter(number)}":"v"')),
    Shape("journal file", 1, 1.0, lambda size, number: EXPORT + "MESSAGE=" + clean(number) + "\n", True),
    # At a sixteenth of the size many bytes are those of the envelope, which cost little, in the second shape most of them.
    Shape(
        "journal file, one field again and again", 480, 9.0, fields(lambda number, entry: f"A={number}.{entry % 16}"), True, 2.2
    ),
    Shape("journal file, many fields", 240, 9.0, fields(lambda number, entry: f"A{number}={entry % 16}"), True, 3.0),
]


def journal(export, path, codec="ZSTD"):
    """Makes a journal file of an export stream."""
    command = [REMOTE, "--output", str(path), "-"]
    subprocess.run(command, input=export, env={"SYSTEMD_JOURNAL_COMPRESS": codec}, stderr=subprocess.DEVNULL, check=True)
    if any(path.parent.glob(f"{path.stem}@*")):
        sys.exit(f"{REMOTE} has rotated the journal, so part of it is missing")


def archive(files, wrap):
    """Returns an archive of files, by their names, in a compressed stream."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return wrap(out.getvalue())


def field_of(codec):
    """Returns the maker of a journal with a field of 60 MiB."""

    def make(path):
        size = 60 * MIB
        field = b"MESSAGE\n" + size.to_bytes(8, "little") + b"\x01" * size + b"\n"
        journal(EXPORT.encode() + field + b"\n", path, codec)

    return make


def nested(path):
    content = b"a" * (64 * MIB)
    for _ in range(4):
        content = archive([("kata.log", content)], lambda tar: lzma.compress(tar, preset=1))
        content = archive([("a.tar.xz", content)], lambda tar: gzip.compress(tar, 1))
    path.write_bytes(content)


def journals(path):
    one = path.with_name("one.journal")
    journal((EXPORT + "MESSAGE=" + clean(1) + "\n\n").encode(), one)
    content = one.read_bytes().rstrip(b"\0")
    files = [(f"j/{number}/system.journal", content) for number in range(60)]
    path.write_bytes(archive(files, lambda tar: gzip.compress(tar, 1)))


# Inputs whose peak memory is measured, each with its ceiling in MiB and its maker.
GIANTS = [
    ("a line of 64 MiB", LINES, lambda path: path.write_bytes(b"a" * (64 * MIB))),
    ("a value of 64 MiB", LINES, lambda path: path.write_bytes((TIME + "a" * (64 * MIB) + '"' + END).encode())),
    ("a journal field of 60 MiB, xz", JOURNALS, field_of("XZ")),
    ("a journal field of 60 MiB, LZ4", JOURNALS, field_of("LZ4")),
    ("a journal field of 60 MiB, Zstandard", JOURNALS, field_of("ZSTD")),
    ("four archives in each other", JOURNALS, nested),
    ("60 journals in an archive", JOURNALS, journals),
]


def instructions(program, path, directory):
    """Returns the number of instructions of a run, and the size of its output."""
    log, output = directory / "counts", directory / "output"
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]
    with output.open("wb") as out:
        command += [program, path, "--threads", "1", "--stats", "none", "--others", "pass"]
        subprocess.run(command, stdout=out, env={}, cwd=directory, check=True)
    return int(re.search(r"Collected : (\d+)", log.read_text())[1]), output.stat().st_size


def peak(program, path):
    """Returns the peak memory of a run in MiB, or that of this script if it has more."""
    command = [program, path, "--threads", "4", "--stats", "none", "--others", "pass"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    message = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    # An input that the program refuses or finds damaged has a peak too.
    if os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) not in (0, 65):
        sys.exit(f"{' '.join(map(str, command))} failed: {message.decode()}")
    return usage.ru_maxrss // 1024


class Table:
    """The measured figures."""

    def __init__(self):
        self.failures = []

    def check(self, shape, figure, value, ceiling):
        if value > ceiling:
            self.failures.append(f"{shape}: {figure} is {value:.1f}, over its ceiling of {ceiling:.1f}")

    def shapes(self, program, directory):
        print("| shape | size / 16 | size | of clean | ceiling |\n|---|---|---|---|---|")
        empty = directory / "empty"
        empty.write_bytes(b"")
        start, _ = instructions(program, empty, directory)
        for shape in SHAPES:
            costs = []
            for size in (max(shape.size // 16, 1), shape.size):
                path = directory / "input.journal"
                path.unlink(missing_ok=True)
                length = shape.write(size, path)
                count, output = instructions(program, path, directory)
                costs.append((count - start) / (length + output))
            small, large = costs
            if shape.ceiling == 1.0:
                clean_cost = large
            print(f"| {shape.name} | {small:.1f} | {large:.1f} | {large / clean_cost:.1f} | {shape.ceiling:.1f} |", flush=True)
            self.check(shape.name, "the cost of a byte in multiples of the clean input", large / clean_cost, shape.ceiling)
            self.check(shape.name, "the growth at sixteen times the size", large / small, shape.growth)

    def giants(self, program, directory):
        print("\n| input | peak in MiB | ceiling |\n|---|---|---|")
        for name, ceiling, make in GIANTS:
            path = directory / "giant.journal"
            path.unlink(missing_ok=True)
            # This script's own memory would count as the program's.
            child = os.fork()
            if child == 0:
                make(path)
                os._exit(0)
            if os.waitpid(child, 0)[1] != 0:
                sys.exit(f"{name} cannot be made")
            memory = peak(program, path)
            print(f"| {name} | {memory} | {ceiling} |", flush=True)
            self.check(name, "the peak memory in MiB", memory, ceiling)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="fail if a figure is over its ceiling")
    parser.add_argument("program")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version}, {valgrind}\n\n`tests/bench/hostile.py`: instructions for each byte of input and output, one thread; "
          "peak memory on four threads\n")
    table = Table()
    with tempfile.TemporaryDirectory() as directory:
        table.shapes(program, pathlib.Path(directory))
        table.giants(program, pathlib.Path(directory))
    for failure in table.failures:
        print(failure, file=sys.stderr)
    sys.exit(1 if arguments.check and table.failures else 0)


if __name__ == "__main__":
    main()
