#!/usr/bin/env python3
"""Runs the static program as the image does: in a root with nothing else, where it has to find a receiver by its name.

check.py PROGRAM: it needs Linux, unshare (util-linux), and ldd. A network of its own keeps it from everybody else's.
"""

import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

NAME = "fluentd.logging.svc"
IN_HOSTS = "receiver.hosts"
SEARCH = "cluster.local"
LINE = 'time="2031-01-01T00:00:00Z" level=info msg="found by name" source=runtime\n'


def loopback_up():
    with socket.socket() as any_socket:
        up = struct.pack("16sh", b"lo", 0x1 | 0x8 | 0x40)
        fcntl.ioctl(any_socket, 0x8914, up)


def answer_names(server, asked):
    """Answers for one name with 127.0.0.9; there is no other."""
    while True:
        query, sender = server.recvfrom(512)
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode())
            at += 1 + length
        name, kind = ".".join(labels), struct.unpack(">H", query[at + 1 : at + 3])[0]
        asked.append(name)
        known = name == f"{NAME}.{SEARCH}"
        answers = known and kind == 1
        head = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, answers, 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton("127.0.0.9")
        server.sendto(head + query[12 : at + 5] + record * answers, sender)


def receive(server, got):
    """Takes one batch of one receiver after the other, and acknowledges none."""
    while True:
        connection, _ = server.accept()
        with connection:
            got.append(connection.recv(65536))


def katalog(root, *flags):
    chroot = shutil.which("chroot", path=os.environ.get("PATH", "") + ":/usr/sbin")
    command = [chroot, root, "/katalog", *flags]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env={}, timeout=60, check=False)


def in_namespace(root):
    loopback_up()
    asked, got = [], []
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.53", 53))
    receiver = socket.create_server(("127.0.0.9", 24224))
    for loop, arguments in [(answer_names, (names, asked)), (receive, (receiver, got))]:
        threading.Thread(target=loop, args=arguments, daemon=True).start()
    version = katalog(root, "--version")
    assert version.returncode == 0 and version.stdout.startswith(b"katalog "), version
    records = katalog(root, "/kata.log")
    assert json.loads(records.stdout)["kata_msg"] == "found by name", records
    ship = ["ship", "--once", "--no-state", "--to"]
    for name in [NAME, IN_HOSTS]:
        got.clear()
        run = katalog(root, *ship, f"forward://{name}", "--give-up-after", "500ms", "/kata.log")
        assert any(b"found by name" in batch for batch in got), (name, run, asked)
        # Nothing was acknowledged.
        assert run.returncode == 69, run
    assert f"{NAME}.{SEARCH}" in asked and not any(IN_HOSTS == name for name in asked), asked
    unknown = katalog(root, *ship, "forward://nowhere", "--give-up-after", "100ms", "/kata.log")
    assert unknown.returncode == 69 and b"name" in unknown.stderr, unknown


def main():
    if sys.argv[1] == "--inside":
        in_namespace(sys.argv[2])
        return
    program = sys.argv[1]
    shared = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    static = re.search("statically linked|not a dynamic executable", shared.stdout + shared.stderr)
    assert static, f"{program} needs shared libraries: {shared.stdout}"
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        shutil.copy(program, root / "katalog")
        (root / "kata.log").write_text(LINE)
        (root / "etc").mkdir()
        # What the kubelet puts into a pod, and nothing else.
        (root / "etc/resolv.conf").write_text(f"nameserver 127.0.0.53\nsearch {SEARCH}\noptions ndots:5\n")
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.0.9 {IN_HOSTS}\n")
        unshare = ["unshare", "--map-root-user", "--net", "--mount"]
        subprocess.run([*unshare, sys.executable, __file__, "--inside", folder], check=True)
    print(f"{program} is static, {os.path.getsize(program) / (1 << 20):.1f} MiB, and finds receivers by name")


if __name__ == "__main__":
    main()
