"""Has one process load what a provider needs, and each provider be a copy of it.

OpenTofu starts its providers several times for each command. A quarter of a second of a
processor for each would go into loading.
"""

from __future__ import annotations

import gc
import marshal
import os
import select
import signal
import socket
import struct
import sys
import time
import zlib  # no more than these: each launcher loads them

IDLE = 30.0
"""Seconds without a new copy after which the loaded process ends."""

START = 60.0
"""Seconds that it may take to be there."""

LOOK = 0.05
"""Seconds between two looks at whether there is still someone to serve."""


def copy_of(name: str) -> None:
    """Be the provider of that name for the process that has started this one, until either ends.

    The copy has this one's streams, folder and environment. An interrupt is for the process that
    started us; it tells the copy what to do.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    line = _begun(name)
    while os.getppid() == parent and not _ended(line, LOOK):
        pass  # the end of the connection reports it to the copy, if we end first


def _begun(name: str) -> socket.socket:
    """The line to a copy that has begun its work."""
    asked = marshal.dumps(dict(os.environ))
    handed = (0, 1, 2, os.open(".", os.O_RDONLY))
    address, end, started = _address(name), time.monotonic() + START, False
    while time.monotonic() < end:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(address)
            if _user(line) == os.getuid():
                socket.send_fds(line, [struct.pack("I", len(asked))], handed)
                line.sendall(asked)
                if line.recv(1):
                    return line
        except OSError:  # there is none, or it ends just now
            if not started:
                _load(name)
                started = True
        line.close()
        time.sleep(0.01)
    sys.exit(f"no provider {name} within {START} s")


def _load(name: str) -> None:
    import subprocess

    words = (sys.executable, "-IS", __file__, name, *sys.path)
    none = subprocess.DEVNULL
    subprocess.Popen(words, stdin=none, stdout=none, stderr=none, cwd="/", start_new_session=True)


def _address(name: str) -> str:
    """Of the process that has this very code loaded; it is nowhere in the file system."""
    folder = __file__.rpartition("/")[0]
    folders = (folder, f"{folder}/schemas", f"{folder}/{name}")
    code = [(one.path, one.stat().st_mtime_ns) for it in folders for one in os.scandir(it)]
    state = repr((sys.path, sorted(one for one in code if not one[0].endswith("__pycache__"))))
    return f"\0plextest-{name}-{os.getuid()}-{zlib.crc32(state.encode())}"


def _user(line: socket.socket) -> int:
    """Of the process at the other end."""
    shown = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", shown)[1])


def _ended(line: socket.socket, seconds: float) -> bool:
    """Whether the other end is closed, as its process has ended. Nothing is said on it by now."""
    return bool(select.select([line], [], [], seconds)[0])


def main(name: str) -> None:
    """Load the provider, then make a copy for each that asks."""
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(_address(name))
    except OSError:
        return  # another one was faster
    listening.listen(64)
    gc.disable()  # copies live too briefly for garbage
    from importlib import import_module

    serve = import_module("provider.server").serve
    servicer = import_module(f"provider.{name}.provider").servicer()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while select.select([listening], [], [], IDLE)[0]:
        line, _ = listening.accept()
        if _user(line) == os.getuid() and os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                _become(line)
                serve(servicer, lambda line=line: _ended(line, LOOK))
            except BaseException:  # noqa: BLE001 - nothing of it may get into the loop above
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(0)
        line.close()


def _become(line: socket.socket) -> None:
    """Take over what the process at the other end has handed over, and say so."""
    length, (*streams, folder), _, _ = socket.recv_fds(line, struct.calcsize("I"), 4)
    asked = line.recv(struct.unpack("I", length)[0], socket.MSG_WAITALL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.fchdir(folder)
    os.close(folder)
    os.environ.clear()
    os.environ.update(marshal.loads(asked))
    line.sendall(b"\0")  # it has begun


if __name__ == "__main__":
    own, *sys.path[:] = sys.argv[1:]
    main(own)
