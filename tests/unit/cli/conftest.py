"""Running the command line as a user does, in a lab of its own, without any host."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from plexctl.cli.main import main
from plexctl.cli.start import SIGNALS
from tests.fake_pve import FakePve

HOSTS = "hosts:\n  local: {kind: incus, socket: /nowhere/unix.socket}\n"


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str


Plexctl = Callable[..., Ended]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folders, apart from the real ones."""
    folder = tmp_path / "home"
    monkeypatch.setenv("HOME", str(folder))
    for name in ("CONFIG", "CACHE", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return folder


@pytest.fixture
def plexctl(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Plexctl]:
    def run(*argv: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["plexctl", *argv])
        with pytest.raises(SystemExit) as end:
            main()
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab with the plexes alpha (1+2) and beta (1+0); its host does not exist."""
    root = tmp_path / "lab"
    for name, workers in (("alpha", 2), ("beta", 0)):
        (root / "clusters" / name).mkdir(parents=True)
        (root / "clusters" / name / "plex.yaml").write_text(f"workers: {workers}\n")
    (root / "clusters" / "hosts.yaml").write_text(HOSTS)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def pve() -> Iterator[FakePve]:
    with FakePve() as fake:
        yield fake


@pytest.fixture
def secret(pve: FakePve) -> str:
    return pve.add_token("plexctl@pve", "lab")
