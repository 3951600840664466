"""Runs verbs on the hostile lab in a private copy of the whole file system.

Started by test_hostile_lab.py in namespaces of its own for mounts and the network. The copy is an
overlay: all changes of any file are in its upper folder, in memory. Prints one JSON object a line.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests.hostile import BASE, RUNNING, USER, VERBS, attacks, plant  # noqa: E402

HOME, LAB = Path("/victim"), Path("/labs/cloned")
CONTROL = "/bin/touch /pwned-control"
"""A program that changes a file outside of the lab: it must be found."""

OWN = (
    *(LAB, Path("/labs/mine"), Path("/dev"), Path("/proc"), Path("/sys")),
    *(HOME / ".local/state/plexctl", HOME / ".config/plexctl"),
    *(HOME / "go", HOME / ".config/go"),  # caches and counters of Go
)
"""Where plexctl and Go may write, beside the folder for caches."""

SECONDS = 120
ALONE = ("inventory", "flux diff demo", "secret rotate", "render")
"""Verbs that get far without a host. The unit tests run others on a host in memory."""


def mount(*words: str | Path) -> None:
    subprocess.run(("mount", *words), check=True)


def overlay(space: Path) -> Path:
    """Mount a copy of the file system; returns its root. Changes are in `space`/up."""
    mount("-t", "tmpfs", "tmpfs", space)
    for name in ("up", "work", "root"):
        (space / name).mkdir()
    root = space / "root"
    user = ",userxattr" if os.environ.get("USER_NAMESPACE") else ""
    options = f"lowerdir=/,upperdir={space}/up,workdir={space}/work{user}"
    mount("-t", "overlay", "overlay", "-o", options, root)
    for name in ("proc", "dev", "sys"):
        mount("--rbind", f"/{name}", root / name)
    for needed in (CHECKOUT, Path(sys.base_prefix)):
        if needed.stat().st_dev != Path("/").stat().st_dev:
            mount("--rbind", "-o", "ro", needed, root / needed.relative_to("/"))
    for server in ("var/lib/incus", "run/docker.sock"):  # neither host is part of the test
        if (root / server).is_dir():
            mount("-t", "tmpfs", "tmpfs", root / server)
    return root


def changes(up: Path, cache: Path) -> Iterator[str]:
    """All files that were changed, created or deleted outside of where plexctl may write."""
    own = (*OWN, *(cache / name for name in ("plexctl", "go-build")))
    for at, folders, names in os.walk(up):
        for name in (*folders, *names):
            file = Path(at, name)
            place = Path("/", file.relative_to(up))
            if any(place.is_relative_to(one) or one.is_relative_to(place) for one in own):
                continue
            if stat.S_ISDIR(file.lstat().st_mode) and os.path.lexists(place):
                continue  # a folder of which a file has changed
            yield str(place)


def run(root: Path, cache: Path, command: tuple[str, ...]) -> tuple[int, str]:
    """Run a command in the copy, in the lab. Returns its code and its output."""
    inner = ("/bin/sh", "-c", 'cd "$0" && exec "$@"', str(LAB), *command)
    try:
        done = subprocess.run(
            ("chroot", root, *inner),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={
                "HOME": str(HOME),
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                "XDG_CACHE_HOME": str(cache),
            },
        )
    except subprocess.TimeoutExpired:
        return -1, f"it did not end in {SECONDS} s"
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def lab(root: Path, *names: str) -> None:
    """Write a new lab with attacks, and the files of the user as they were."""
    subprocess.run(("rm", "-rf", root / LAB.relative_to("/")), check=True)
    folder = root / LAB.relative_to("/")
    folder.mkdir(parents=True)
    for name, content in USER.items():
        file = root / HOME.relative_to("/") / name
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(content)
    plant(folder, HOME, BASE, *names)


def main() -> None:
    space, cache, plexctl = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        str(CHECKOUT / ".venv/bin/plexctl"),
    )
    root = overlay(space)
    lab(root)
    run(root, cache, (plexctl, "-C", "/labs/mine", "init", "mine"))  # writes the user's key
    everything = attacks()
    for names, verbs in (
        ((), (CONTROL,)),
        (everything, (*VERBS, *RUNNING)),
        *(((one,), ALONE) for one in everything),
    ):
        lab(root, *names)
        before = snapshot(space / "up", cache)
        for verb in verbs:
            words = tuple(verb.split())
            code, output = run(root, cache, words if verb == CONTROL else (plexctl, *words))
            after = snapshot(space / "up", cache)
            changed = sorted(
                name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
            )
            before = after
            row = {"attack": " ".join(names), "verb": verb, "code": code, "changed": changed}
            print(json.dumps({**row, "output": output}), flush=True)


def snapshot(up: Path, cache: Path) -> dict[str, tuple[int, bytes | str]]:
    """Mode and content of everything that differs from the file system below the copy."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for name in changes(up, cache):
        file = up / name.lstrip("/")
        mode = file.lstat().st_mode
        content: bytes | str = ""
        if stat.S_ISLNK(mode):
            content = str(file.readlink())
        elif stat.S_ISREG(mode):
            content = file.read_bytes()
        found[name] = (mode, content)
    return found


if __name__ == "__main__":
    main()
