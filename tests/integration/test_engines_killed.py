"""plexctl is interrupted, then OpenTofu, both, and plexctl alone are killed amid many nodes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from .engine_lab import Tools, folder_of, installed_tools, lab_with
from .support import Lab, eventually, host, host_state, of_plex

MANY = "shift"
CROWD = 20


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    return installed_tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, tools: Tools) -> Iterator[Lab]:
    with lab_with(MANY, tools, tmp_path_factory) as lab:
        file = lab.root / "clusters" / MANY / "plex.yaml"
        kept = file.read_text().replace("workers: 2", f"workers: {CROWD - 1}")
        kept = kept.partition("# groups")[0]
        file.write_text(f'{kept}engine: tofu\ngroups: [{{nodes: "2-{CROWD}", type: adm}}]\n')
        yield lab


def kill_tofu(lab: Lab, process: subprocess.Popen[str]) -> None:
    os.kill(tofu_of(folder_of(lab, MANY)), signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "error: tofu apply was killed (SIGKILL)\nhint: run the command again" in err


def kill_both(lab: Lab, process: subprocess.Popen[str]) -> None:
    """plexctl first: OpenTofu lives on for a moment, and may hold the state's lock."""
    tofu = tofu_of(folder_of(lab, MANY))
    process.kill()
    process.communicate(timeout=120)
    with suppress(ProcessLookupError):
        os.kill(tofu, signal.SIGKILL)


def kill_plexctl(lab: Lab, process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=120)


def interrupt(lab: Lab, process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGINT


def test_each_run_goes_on_from_what_the_killed_one_before_has_left(lab: Lab, tools: Tools) -> None:
    lab.run("bake", "adm", timeout=1800)
    kept: dict[str, str] = {}
    for end in (interrupt, kill_tofu, kill_both, kill_plexctl):
        more = min(len(there()) + 3, CROWD)
        process = lab.start("up", MANY, "--no-wait")
        eventually(f"{more} are there", partial(at_least, more), seconds=240)
        end(lab, process)
        if end is interrupt:
            assert processes(str(tools.settings.parent)) == []
            # OpenTofu finishes what it has begun and stores it: nothing is recreated.
            kept = there()
            assert len(kept) < CROWD

    lab.run("up", MANY, "--no-wait")

    found = host_state()
    crowd = {f"{MANY}{number}" for number in range(1, CROWD + 1)}
    assert {name for name, one in found.instances.items() if one.tags.get("plex") == MANY} == crowd
    assert all(found.instances[name].status == "Running" for name in crowd)
    assert kept.items() <= there().items()
    assert lab.run("plan", MANY).out == f"{MANY}: nothing to do; OpenTofu has no changes\n"
    for name in crowd:
        booted = host().execute(name, ("test", "-f", "/var/lib/plexctl/booted"))
        assert booted.code == 0, name
    lab.run("destroy", MANY, "-y")
    assert of_plex(host_state(), MANY) == set()


def there() -> dict[str, str]:
    """Nodes of the plex that the host has, half-made ones too, and which instance each is."""
    found = host_state().instances.items()
    return {name: one.uuid for name, one in found if name.removeprefix(MANY).isdigit()}


def at_least(number: int) -> bool:
    return len(there()) >= number


def processes(word: str) -> list[int]:
    """Those whose arguments have `word` in them, and that plexctl may have started."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            number = int(entry.name)
            shown = (entry / "cmdline").read_bytes().split(b"\0")
            if word.encode() in shown[0] or (len(shown) > 2 and word.encode() in shown[2]):
                found.append(number)
    return found


def tofu_of(folder: Path) -> int:
    """The OpenTofu that works in `folder`; it is waited for."""
    found: list[int] = []

    def look() -> bool:
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                number = int(entry.name)
                program = Path((entry / "cmdline").read_bytes().split(b"\0")[0].decode()).name
                if program == "tofu" and (entry / "cwd").resolve() == folder / "incus":
                    found.append(number)
        return bool(found)

    eventually("OpenTofu is at work", look)
    return found[0]
