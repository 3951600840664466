"""One story under every engine; a plex that goes from one to the other; OpenTofu that is killed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ..provider.mirror import install_mirror
from ..provider.tofu import stored_tofu
from .support import (
    Cluster,
    Lab,
    eventually,
    host,
    host_state,
    of_plex,
    remove_leftovers,
    stored_kubectl,
    uptime,
)

PLEX, MANY = "motor", "shift"
NODES = {f"{PLEX}{number}" for number in (1, 2, 3)}
CROWD = 16
PEM = b"PRIVATE KEY"


@dataclass(frozen=True)
class Tools:
    """Folders for PATH that have one of the two programs, and where their providers come from."""

    tofu: Path
    terraform: Path | None
    settings: Path

    def environment(self, program: str = "tofu") -> dict[str, str]:
        folder = {"tofu": self.tofu, "terraform": self.terraform}[program]
        return {
            "TF_CLI_CONFIG_FILE": str(self.settings),
            "PATH": f"{folder}:{os.environ['PATH']}",
        }


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    folder = tmp_path_factory.mktemp("tools")
    settings = install_mirror(folder)
    (folder / "tofu").mkdir()
    stored_tofu(folder / "tofu")
    found = shutil.which("terraform")
    return Tools(folder / "tofu", Path(found).parent if found else None, settings)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, tools: Tools) -> Iterator[Lab]:
    """A lab with two plexes, none of which is up; OpenTofu is what it finds first."""
    lab = Lab(
        tmp_path_factory.mktemp("lab"),
        tmp_path_factory.mktemp("home"),
        environment=tools.environment(),
    )
    (lab.root / "clusters").mkdir()
    for plex in (PLEX, MANY):
        remove_leftovers(plex)
    lab.run("init", PLEX)
    lab.run("init", MANY)
    file = lab.root / "clusters" / MANY / "plex.yaml"
    kept = file.read_text().replace("workers: 2", f"workers: {CROWD - 1}").partition("# groups")[0]
    file.write_text(f'{kept}engine: tofu\ngroups: [{{nodes: "2-{CROWD}", type: adm}}]\n')
    yield lab
    for plex in (PLEX, MANY):
        lab.run("destroy", plex, "-y", code=None)


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_kubectl(tmp_path_factory.mktemp("bin"))


def uptimes() -> dict[str, float]:
    return {name: uptime(name) for name in sorted(NODES & host_state().instances.keys())}


def folder_of(lab: Lab, plex: str = PLEX) -> Path:
    return lab.root / ".plexctl" / "plexes" / plex / "tofu"


def changed(lab: Lab, *words: str) -> dict[str, str]:
    """Which nodes a verb has changed, and how."""
    answer = lab.ask(*words)
    return {one["name"]: one["action"] for one in answer["changes"] if one["kind"] == "instance"}


def nothing_to_do(lab: Lab, engine: str) -> None:
    also = "" if engine == "direct" else "; OpenTofu has no changes"
    assert lab.run("plan", PLEX).out == f"{PLEX}: nothing to do{also}\n"


@pytest.mark.parametrize("engine", ["direct", "tofu"])
def test_one_story_under_every_engine(lab: Lab, engine: str, kubectl: Path, tmp_path: Path) -> None:
    lab.run("engine", engine, PLEX)
    lab.run("kubeconfig", PLEX, "--output", str(tmp_path / "config"))
    cluster = Cluster(kubectl, tmp_path / "config")

    assert changed(lab, "up", PLEX) == dict.fromkeys(NODES, "create")
    assert cluster.ready() == NODES
    before = uptimes()
    assert lab.ask("up", PLEX)["changes"] == []
    nothing_to_do(lab, engine)

    assert changed(lab, "replace", f"{PLEX}2", "-y") == {f"{PLEX}2": "replace"}
    after = uptimes()
    assert {name for name in NODES if before[name] != after[name]} == {f"{PLEX}2"}
    assert cluster.ready() == NODES

    changed(lab, "scale", PLEX, "--workers", "3")
    assert cluster.ready() == {*NODES, f"{PLEX}4"}
    assert changed(lab, "scale", PLEX, "--workers", "2", "-y") == {f"{PLEX}4": "delete"}
    assert cluster.ready() == NODES
    assert uptimes() == after

    # Somebody removed a worker and stopped another one.
    host().delete_instance(f"{PLEX}3")
    host().stop(f"{PLEX}2")
    assert lab.run("plan", PLEX, code=3).out
    assert changed(lab, "up", PLEX) == {f"{PLEX}2": "start", f"{PLEX}3": "create"}
    assert uptimes()[f"{PLEX}1"] == after[f"{PLEX}1"]

    assert changed(lab, "replace", "master", "--plex", PLEX, "-y") == dict.fromkeys(
        NODES, "replace"
    )
    assert cluster.ready() == NODES
    nothing_to_do(lab, engine)

    lab.run("destroy", PLEX, "-y")
    assert of_plex(host_state(), PLEX) == set()
    assert f"plex-{PLEX}" not in host_state().networks
    assert not folder_of(lab).parent.exists()


def test_a_plex_goes_from_one_engine_to_the_other(lab: Lab) -> None:
    lab.run("engine", "direct", PLEX)
    lab.run("up", PLEX)
    before = uptimes()
    file = lab.root / "clusters" / PLEX / "plex.yaml"

    lab.run("engine", "tofu", PLEX)
    nothing_to_do(lab, "tofu")
    lab.run("engine", "direct", PLEX)
    nothing_to_do(lab, "direct")
    assert not folder_of(lab).exists()
    file.write_text(file.read_text().replace("engine: direct", "engine: tofu"))
    assert "import" in lab.run("plan", PLEX, code=3).out
    assert lab.ask("up", PLEX)["changes"] == []
    nothing_to_do(lab, "tofu")

    assert uptimes() == before


def test_a_state_that_is_lost_is_no_loss(lab: Lab) -> None:
    before = uptimes()
    state = folder_of(lab) / "incus" / "terraform.tfstate"

    for content in ("", "{}", '{"serial": '):
        state.write_text(content)
        assert lab.ask("up", PLEX)["changes"] == []
        nothing_to_do(lab, "tofu")
    shutil.rmtree(folder_of(lab))
    assert lab.ask("up", PLEX)["changes"] == []

    nothing_to_do(lab, "tofu")
    assert uptimes() == before


def test_what_is_changed_behind_its_back_is_seen(lab: Lab) -> None:
    before = uptimes()
    profile = f"plex-{PLEX}-kube"
    for words in (
        ("profile", "set", profile, "limits.processes=4711"),
        ("config", "device", "set", f"{PLEX}3", "eth0", "limits.priority=3"),
    ):
        subprocess.run(["incus", *words], check=True, timeout=60)

    planned = json.loads(lab.run("plan", PLEX, "--json", code=3).out)

    assert planned["changes"] == []
    assert set(planned["tofu"]["changes"]) == {
        f'update module.incus.incus_profile.profile["local/{profile}"]',
        f'update module.incus.incus_instance.worker["{PLEX}3"]',
    }
    assert "limits.processes" in lab.run("plan", PLEX, "--tofu", code=3).out
    lab.run("up", PLEX)
    nothing_to_do(lab, "tofu")
    assert uptimes() == before


def test_nothing_that_opentofu_keeps_says_anything(lab: Lab) -> None:
    """The state and a plan are encrypted; keys are in neither, nor in what a process shows."""
    secrets = known_secrets(lab)
    with watched(folder_of(lab)) as seen:
        lab.run("replace", f"{PLEX}3", "-y")
        lab.run("plan", PLEX)

    assert any("terraform.tfstate" in name for name in seen.files)
    assert any("tfplan" in name for name in seen.files)
    assert any(b"terraform-provider-incus" in shown for shown in seen.processes)
    for name, content in seen.files.items():
        if "tfstate" in name or "tfplan" in name:
            assert f"{PLEX}1".encode() not in content, name
        if "/boot/" not in name:
            assert not [one for one in secrets if one in content], name
            assert PEM not in content, name
    for shown in seen.processes:
        assert not [one for one in secrets if one in shown]
    assert not (folder_of(lab) / "boot").exists()
    assert folder_of(lab).stat().st_mode & 0o777 == 0o700
    for journal in (lab.root / ".plexctl" / "runs").iterdir():
        assert not [one for one in secrets if one in journal.read_bytes()], journal


def test_opentofu_by_hand_reads_the_state(lab: Lab, tools: Tools) -> None:
    argv = [tools.tofu / "tofu", f"-chdir={folder_of(lab) / 'incus'}"]
    environment = {**os.environ, **lab.environment, "XDG_CONFIG_HOME": str(lab.home)}
    for words in (["state", "list"], ["plan", "-detailed-exitcode", "-no-color"]):
        done = subprocess.run(
            [*argv, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert PLEX in done.stdout or "No changes" in done.stdout


def test_what_goes_wrong_is_said_once(lab: Lab, tools: Tools, tmp_path: Path) -> None:
    main = folder_of(lab) / "incus" / "main.tf"
    main.write_text(main.read_text() + '\nresource "incus_nothing" "x" {}\n')
    wrong = lab.run("up", PLEX, code=1).err
    assert "error: tofu plan failed\n" in wrong
    assert "incus_nothing" in wrong

    shutil.rmtree(folder_of(lab))
    empty = tmp_path / "empty.rc"
    (tmp_path / "mirror").mkdir()
    empty.write_text(
        f'provider_installation {{\n filesystem_mirror {{\n path = "{tmp_path}/mirror"\n }}\n}}\n'
    )
    unserved = replace(lab, environment={**lab.environment, "TF_CLI_CONFIG_FILE": str(empty)})
    missing = unserved.run("up", PLEX, code=1).err
    assert "error: tofu init failed\n" in missing
    assert "lxc/incus" in missing
    assert "hint: providers come from the registry, or from a mirror" in missing

    for text in (wrong, missing):
        assert text.count("error: ") == 1
        assert "Traceback" not in text
    lab.run("up", PLEX)
    nothing_to_do(lab, "tofu")


def test_terraform_goes_on_where_opentofu_was(lab: Lab, tools: Tools) -> None:
    if tools.terraform is None:
        pytest.skip("there is no terraform here")
    before = uptimes()
    other = replace(lab, environment=tools.environment("terraform"))

    assert other.ask("up", PLEX)["changes"] == []
    assert "no changes" in other.run("plan", PLEX).out
    assert changed(other, "replace", f"{PLEX}3", "-y") == {f"{PLEX}3": "replace"}
    assert lab.ask("up", PLEX)["changes"] == []

    after = uptimes()
    assert {name for name in NODES if before[name] != after[name]} == {f"{PLEX}3"}
    lab.run("destroy", PLEX, "-y")


def kill_tofu(lab: Lab, process: subprocess.Popen[str]) -> None:
    os.kill(tofu_of(folder_of(lab, MANY)), signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode == 1


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


def terminate(lab: Lab, process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("end", [kill_tofu, kill_both, kill_plexctl, interrupt, terminate])
def test_the_next_run_goes_on_from_what_a_killed_one_left(
    lab: Lab, tools: Tools, end: Callable[[Lab, subprocess.Popen[str]], None]
) -> None:
    crowd = {f"{MANY}{number}" for number in range(1, CROWD + 1)}
    lab.run("bake", "adm", timeout=1800)
    process = lab.start("up", MANY, "--no-wait")

    eventually(
        "some are there", lambda: len(host_state().instances.keys() & crowd) >= 3, seconds=240
    )
    end(lab, process)
    left = host_state().instances.keys() & crowd
    if end in (interrupt, terminate):
        assert processes(str(tools.settings.parent)) == []
        # What was begun is finished and written down: nothing is made anew.
        assert len(left) < CROWD
        kept = {name: host_state().instances[name].uuid for name in left}

    lab.run("up", MANY, "--no-wait")

    found = host_state()
    assert {name for name, one in found.instances.items() if one.tags.get("plex") == MANY} == crowd
    assert all(found.instances[name].status == "Running" for name in crowd)
    if end in (interrupt, terminate):
        assert {name: found.instances[name].uuid for name in left} == kept
    assert lab.run("plan", MANY).out == f"{MANY}: nothing to do; OpenTofu has no changes\n"
    for name in crowd:
        booted = host().execute(name, ("test", "-f", "/var/lib/plexctl/booted"))
        assert booted.code == 0, name
    lab.run("destroy", MANY, "-y")
    assert of_plex(host_state(), MANY) == set()


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


@dataclass
class Seen:
    """All files of a folder and all that processes showed, as they were at some time."""

    files: dict[str, bytes] = field(default_factory=dict)
    processes: set[bytes] = field(default_factory=set)


@contextmanager
def watched(folder: Path) -> Iterator[Seen]:
    """Look again and again until the block ends; no process but OpenTofu's and ours counts."""
    seen, over = Seen(), threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for file in folder.rglob("*"):
                with suppress(OSError):
                    if file.is_file() and ".terraform/" not in str(file):
                        seen.files[str(file)] = file.read_bytes()
            for entry in Path("/proc").iterdir():
                with suppress(OSError):
                    shown = (entry / "cmdline").read_bytes()
                    if b"tofu" in shown or b"terraform" in shown:
                        seen.processes |= {shown, (entry / "environ").read_bytes()}

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def known_secrets(lab: Lab) -> list[bytes]:
    """What must be nowhere: the cluster's CA key, a bootstrap token, the key of the state."""
    incus = host()
    authority = incus.pull(f"{PLEX}1", "/etc/kubernetes/pki/ca.key")
    body = authority.split(b"\n")[1]
    listed = incus.execute(
        f"{PLEX}1",
        (
            *("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"),
            *("get", "secrets", "-n", "kube-system", "-o", "json"),
        ),
    ).stdout
    tokens = [
        base64.b64decode(one["data"]["token-secret"])
        for one in json.loads(listed)["items"]
        if one["type"] == "bootstrap.kubernetes.io/token"
    ]
    answer = lab.run("engine", "tofu", PLEX, "--key").out.splitlines()[1]
    key = json.loads(answer)["keys"]["encryption_key"].encode()
    identity = next((lab.home / "plexctl").glob("*.key")).read_bytes().split()[-1]
    found = [body, base64.b64encode(body)[:40], key, identity, *tokens]
    assert all(len(one) > 12 for one in found)
    assert tokens
    return found
