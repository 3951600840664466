"""Secrets of apps with the real SOPS: plain text is nowhere but in the editor's memory."""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from .support import Lab, eventually, files_below

MANIFEST = """\
apiVersion: v1
kind: Secret
metadata:
  name: web
stringData:
  # a comment: CANARY
  password: CANARY
"""
EDITOR = r"""#!/bin/sh
# Notes all that others could see of plexctl and of this editor while it works.
for process in /proc/[0-9]*; do
  tr '\0' '\n' <"$process/environ" 2>/dev/null
  tr '\0' '\n' <"$process/cmdline" 2>/dev/null
done >>"$0.seen"
dirname "$1" >"$0.folder"
grep -q . "$1" && sed -i "s/password: .*/password: $(cat "$0.canary")/" "$1"
"""


@pytest.fixture
def own(tmp_path: Path) -> Lab:
    """A lab with no plex that is up, on a host that does not exist."""
    root, home = tmp_path / "lab", tmp_path / "home"
    for folder in (root / "clusters" / "web", root / "apps", home):
        folder.mkdir(parents=True)
    hosts = "hosts:\n  local: {kind: incus, socket: /nowhere/unix.socket}\n"
    (root / "clusters" / "hosts.yaml").write_text(hosts)
    (root / "clusters" / "web" / "plex.yaml").write_text("workers: 0\n")
    state = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("STATE", "DATA")}
    return Lab(root, home, environment={**state, "VISUAL": str(tmp_path / "editor")})


@pytest.fixture
def canary(tmp_path: Path) -> str:
    return f"canary{secrets.token_hex(12)}"


@pytest.fixture
def editor(tmp_path: Path, canary: str) -> Iterator[Path]:
    """An editor that writes the canary; where it has that from, only it knows."""
    program = tmp_path / "editor"
    program.write_text(EDITOR)
    program.chmod(0o755)
    known = tmp_path / "editor.canary"
    known.write_text(canary)
    yield program
    known.unlink()


def holding(needle: str, *folders: Path, since: float) -> list[Path]:
    """Files that were written since and have `needle` in them."""
    found = []
    for file in files_below(*folders):
        try:
            if file.is_file() and file.stat().st_mtime >= since - 1:
                found += [file] if needle.encode() in file.read_bytes() else []
        except OSError:
            continue  # of another user, or gone
    return found


def test_no_plain_secret_is_anywhere(own: Lab, editor: Path, canary: str, tmp_path: Path) -> None:
    began = time.time()
    web, new = own.root / "apps" / "web.yaml", own.root / "clusters" / "web" / "new.yaml"
    web.write_text(MANIFEST.replace("CANARY", canary))

    answers = [
        own.run("secret", "encrypt", str(web)),
        own.run("secret", "edit", str(web)),
        own.run("secret", "edit", str(new)),
        own.run("secret", "rotate"),
    ]

    assert answers[0].out.startswith("encrypted ")
    assert answers[1].out.startswith("unchanged: ")  # the editor writes what is there
    assert answers[2].out.startswith("encrypted ")
    assert answers[3].out.count("rotated ") == 2
    assert not [a for a in answers if canary in a.out + a.err]
    memory = Path(Path(f"{editor}.folder").read_text().strip())
    assert memory.parent == Path("/dev/shm")
    assert not memory.exists()
    seen = Path(f"{editor}.seen").read_text(errors="replace")
    assert "secret\nedit\n" in seen  # plexctl itself was looked at
    assert canary not in seen
    assert "AGE-SECRET-KEY-1" not in seen
    cache = platformdirs.user_cache_path("plexctl")
    folders = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), cache, tmp_path)
    assert set(holding(canary, *folders, since=began)) == {Path(f"{editor}.canary")}
    own_key = own.home / "plexctl" / "age.key"
    assert holding("AGE-SECRET-KEY-1", own.root, own.home, since=began) == [own_key]


def test_a_clone_and_the_key_of_its_seed_are_all_one_needs(
    own: Lab, editor: Path, canary: str, tmp_path: Path
) -> None:
    web = own.root / "apps" / "web.yaml"
    web.write_text(MANIFEST)
    own.run("secret", "encrypt", str(web))
    clone = tmp_path / "clone"
    subprocess.run(["cp", "-r", own.root, clone], check=True)
    other = Lab(clone, own.home, environment=own.environment)
    (clone / "clusters" / "hosts.yaml").write_text(
        (clone / "clusters" / "hosts.yaml").read_text() + "secrets: {epoch: 2}\n"
    )

    first = own.ask("secret", "rotate")
    second = other.ask("secret", "rotate")

    assert first["recipient"] != second["recipient"]
    assert f"recipient: {second['recipient']}" in (clone / "apps" / "web.yaml").read_text()
    assert other.ask("secret", "edit", str(clone / "apps" / "web.yaml"))["files"][0]["changed"]
    refused = own.run("secret", "edit", str(clone / "apps" / "web.yaml"), code=1)
    assert "with the keys of this lab" in refused.err


def test_a_label_changed_by_hand_is_reported(own: Lab, editor: Path) -> None:
    web = own.root / "apps" / "web.yaml"
    web.write_text(MANIFEST)
    own.run("secret", "encrypt", str(web))
    text = web.read_text()
    web.write_text(text.replace("name: web", "name: other"))
    before = web.read_bytes()
    for words in (("edit", str(web)), ("rotate",)):
        assert "was changed after it was encrypted" in own.run("secret", *words, code=1).err
    assert web.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_an_edit_leaves_no_file(
    own: Lab, editor: Path, number: signal.Signals
) -> None:
    own.run("secret", "rotate")  # the depot has SOPS now
    folder = Path(f"{editor}.folder")
    editor.write_text(
        f'#!/bin/sh\ndirname "$1" >{folder}.new\nmv {folder}.new {folder}\nexec sleep 99\n'
    )
    process = own.start("secret", "edit", str(own.root / "apps" / "web.yaml"))
    eventually("the editor runs", folder.exists)
    memory = Path(folder.read_text().strip())
    assert memory.is_dir()

    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert not memory.exists()
    assert not (own.root / "apps" / "web.yaml").exists()
