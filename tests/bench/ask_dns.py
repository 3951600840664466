"""Ask a cluster's DNS until it answers: `ask_dns.py SERVER NAME ADDRESS [POD_UID]`.

Runs on a node, with nothing but its Python. Ends with 0 as soon as SERVER says that NAME is
ADDRESS, and with 1 after two minutes. With POD_UID it asks from the network namespace of that pod,
once the pod has a process: no image with a DNS client is needed.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import struct
import sys
import time
from pathlib import Path

DEADLINE = 120.0
TRY_AGAIN = 0.1
CLONE_NEWNET = 0x40000000
A, IN = 1, 1


def main(server: str, name: str, address: str, pod: str = "") -> int:
    end = time.monotonic() + DEADLINE
    while pod and not enter(pod):
        if time.monotonic() > end:
            return failed(f"pod {pod} has no process on this node")
        time.sleep(TRY_AGAIN)
    seen = "nothing"
    while time.monotonic() < end:
        try:
            seen = ask(server, name)
        except OSError as error:
            seen = str(error)
        if seen == address:
            print(f"{name} is {address}")
            return 0
        time.sleep(TRY_AGAIN)
    return failed(f"{server} answers {seen} for {name}")


def failed(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


def enter(pod: str) -> bool:
    """Change to the network namespace of a pod; False while it has no process."""
    # By cgroupfs and by systemd the pod's control group is called after its UID.
    names = (f"pod{pod}", f"pod{pod.replace('-', '_')}")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            groups = (process / "cgroup").read_text()
            if any(name in groups for name in names) and into_network_of(process):
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
    return False


def into_network_of(process: Path) -> bool:
    """False if it is the network of this process: the runtime has not yet changed it."""
    descriptor = os.open(process / "ns/net", os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_ino == Path("/proc/self/ns/net").stat().st_ino:
            return False
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(descriptor)
    return True


def ask(server: str, name: str) -> str:
    """The first A record of `name`, or what is in its place in words. OSError without answer."""
    number = secrets.randbits(16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack(">HH", A, IN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.25)
        client.connect((server, 53))
        client.send(struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + question)
        answer = client.recv(4096)
    got, flags, _, answers, _, _ = struct.unpack_from(">HHHHHH", answer)
    if got != number:
        return "another question"
    if answers == 0:
        return f"no record (code {flags & 15})"
    record = answer[12 + len(question) :]
    # CoreDNS writes the name out or points back to the question.
    record = record[2:] if record[0] & 0xC0 else record[len(labels) + 1 :]
    kind, _, _, length = struct.unpack_from(">HHIH", record)
    return socket.inet_ntoa(record[10:14]) if (kind, length) == (A, 4) else f"record {kind}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
