"""The story of a plex under OpenTofu, and a plex that goes from one engine to the other.

With the engine `direct`, test_plex.py and test_plex_changes.py of lifecycle/ tell the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .engine_lab import (
    Tools,
    changed,
    folder_of,
    installed_tools,
    lab_with,
    nothing_to_do,
    uptimes,
    with_terraform,
)
from .support import Cluster, Lab, host, host_state, of_plex, stored_kubectl
from .watching import known_secrets, watched

PLEX = "motor"
NODES = {f"{PLEX}{number}" for number in (1, 2, 3)}
PEM = b"PRIVATE KEY"


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    return installed_tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, tools: Tools) -> Iterator[Lab]:
    with lab_with(PLEX, tools, tmp_path_factory) as lab:
        yield lab


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_kubectl(tmp_path_factory.mktemp("bin"))


def test_a_plex_is_made_and_changed_by_opentofu(lab: Lab, kubectl: Path, tmp_path: Path) -> None:
    lab.run("engine", "tofu", PLEX)
    lab.run("kubeconfig", PLEX, "--output", str(tmp_path / "config"))
    cluster = Cluster(kubectl, tmp_path / "config")

    assert changed(lab, "up", PLEX) == dict.fromkeys(NODES, "create")
    assert cluster.ready() == NODES
    assert (lab.root / "tofu-incus.lock.hcl").exists()
    before = uptimes(PLEX)
    assert lab.ask("up", PLEX)["changes"] == []
    nothing_to_do(lab, PLEX, "tofu")

    assert changed(lab, "replace", f"{PLEX}2", "-y") == {f"{PLEX}2": "replace"}
    after = uptimes(PLEX)
    assert {name for name in NODES if before[name] != after[name]} == {f"{PLEX}2"}
    assert cluster.ready() == NODES

    changed(lab, "scale", PLEX, "--workers", "3")
    assert cluster.ready() == {*NODES, f"{PLEX}4"}
    assert changed(lab, "scale", PLEX, "--workers", "2", "-y") == {f"{PLEX}4": "delete"}
    assert cluster.ready() == NODES
    assert uptimes(PLEX) == after

    # Somebody removed a worker and stopped another one.
    host().delete_instance(f"{PLEX}3")
    host().stop(f"{PLEX}2")
    assert lab.run("plan", PLEX, code=3).out
    assert changed(lab, "up", PLEX) == {f"{PLEX}2": "start", f"{PLEX}3": "create"}
    assert uptimes(PLEX)[f"{PLEX}1"] == after[f"{PLEX}1"]

    assert changed(lab, "replace", "master", "--plex", PLEX, "-y") == dict.fromkeys(
        NODES, "replace"
    )
    assert cluster.ready() == NODES
    nothing_to_do(lab, PLEX, "tofu")


def destroyed(lab: Lab) -> None:
    lab.run("destroy", PLEX, "-y")
    assert of_plex(host_state(), PLEX) == set()
    assert f"plex-{PLEX}" not in host_state().networks
    assert not folder_of(lab, PLEX).parent.exists()


def test_a_plex_goes_from_one_engine_to_the_other(lab: Lab) -> None:
    lab.run("engine", "direct", PLEX)
    assert changed(lab, "replace", f"{PLEX}3", "-y") == {f"{PLEX}3": "replace"}
    before = uptimes(PLEX)
    nothing_to_do(lab, PLEX, "direct")
    file = lab.root / "clusters" / PLEX / "plex.yaml"

    lab.run("engine", "tofu", PLEX)
    nothing_to_do(lab, PLEX, "tofu")
    lab.run("engine", "direct", PLEX)
    nothing_to_do(lab, PLEX, "direct")
    assert not folder_of(lab, PLEX).exists()
    file.write_text(file.read_text().replace("engine: direct", "engine: tofu"))
    assert "import" in lab.run("plan", PLEX, code=3).out
    assert lab.ask("up", PLEX)["changes"] == []
    nothing_to_do(lab, PLEX, "tofu")

    assert uptimes(PLEX) == before


def test_a_state_that_is_lost_is_no_loss(lab: Lab) -> None:
    before = uptimes(PLEX)
    state = folder_of(lab, PLEX) / "incus" / "terraform.tfstate"

    for content in ("", '{"serial": '):
        state.write_text(content)
        assert lab.ask("up", PLEX)["changes"] == []
    # Another machine has recreated a worker; this state still contains the one before.
    older = state.read_bytes()
    lab.run("replace", f"{PLEX}3", "-y")
    before = uptimes(PLEX)
    state.write_bytes(older)
    assert "import" in lab.run("plan", PLEX, code=3).out
    state.write_bytes(older)
    assert lab.ask("up", PLEX)["changes"] == []
    shutil.rmtree(folder_of(lab, PLEX))
    assert lab.ask("up", PLEX)["changes"] == []

    nothing_to_do(lab, PLEX, "tofu")
    assert uptimes(PLEX) == before


def test_changes_made_outside_of_plexctl_are_detected(lab: Lab) -> None:
    before = uptimes(PLEX)
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
        f'update module.incus.module.worker.incus_instance.node["{PLEX}3"]',
    }
    assert "limits.processes" in lab.run("plan", PLEX, "--tofu", code=3).out
    lab.run("up", PLEX)
    nothing_to_do(lab, PLEX, "tofu")
    assert uptimes(PLEX) == before


def test_opentofu_stores_and_shows_no_secret(lab: Lab) -> None:
    """The state and a plan are encrypted; keys are in neither, nor in what a process shows."""
    secrets = known_secrets(lab, PLEX)
    with watched(folder_of(lab, PLEX)) as seen:
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
    assert not (folder_of(lab, PLEX) / "boot").exists()
    assert folder_of(lab, PLEX).stat().st_mode & 0o777 == 0o700
    for journal in (lab.root / ".plexctl" / "runs").iterdir():
        assert not [one for one in secrets if one in journal.read_bytes()], journal


def test_opentofu_by_hand_reads_the_state(lab: Lab, tools: Tools) -> None:
    argv = [str(tools.tofu / "tofu"), f"-chdir={folder_of(lab, PLEX) / 'incus'}"]
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


def test_an_error_of_opentofu_is_printed_once(lab: Lab, tools: Tools, tmp_path: Path) -> None:
    main = folder_of(lab, PLEX) / "incus" / "main.tf"
    main.write_text(main.read_text() + '\nresource "incus_nothing" "x" {}\n')
    lab.run("up", PLEX)
    assert "incus_nothing" not in main.read_text()  # plexctl writes its own files each time

    shutil.rmtree(folder_of(lab, PLEX))
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

    # Another provider under the same name than the one that the lab has had.
    lock = lab.root / "tofu-incus.lock.hcl"
    locked = lock.read_text()
    assert locked.startswith("#")
    lock.write_text(re.sub("h1:(.)", lambda m: "h1:B" if m[1] == "A" else "h1:A", locked))
    strange = lab.run("up", PLEX, code=1).err
    assert "error: tofu init failed\n" in strange
    assert "doesn't match any of the checksums previously recorded" in strange
    lock.write_text(locked)

    for text in (missing, strange):
        assert text.count("error: ") == 1
        assert "Traceback" not in text
    lab.run("up", PLEX)
    nothing_to_do(lab, PLEX, "tofu")


def test_terraform_goes_on_where_opentofu_was(lab: Lab, tools: Tools) -> None:
    before = uptimes(PLEX)
    other = with_terraform(lab, tools)

    assert "import" in other.run("plan", PLEX, code=3).out
    assert other.ask("up", PLEX)["changes"] == []
    nothing_to_do(other, PLEX, "tofu")
    assert changed(other, "replace", f"{PLEX}3", "-y") == {f"{PLEX}3": "replace"}
    assert lab.ask("up", PLEX)["changes"] == []

    after = uptimes(PLEX)
    assert {name for name in NODES if before[name] != after[name]} == {f"{PLEX}3"}
    # What OpenTofu and Terraform have made goes over as well.
    lab.run("engine", "direct", PLEX)
    nothing_to_do(lab, PLEX, "direct")
    assert uptimes(PLEX) == after
    destroyed(lab)
