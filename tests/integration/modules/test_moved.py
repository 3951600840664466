"""States from before the submodule `nodes`: a plan moves their addresses and changes nothing.

The recorded states are of a master and two workers, from the modules as they were then. They need
no host: nothing is refreshed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from plexctl.config.builtin import builtin

from ...provider.mirror import INCUS, Served, install_mirror
from ...provider.tofu import Tofu

RECORDED = Path(__file__).parent / "recorded"
PROVIDERS = (INCUS, Served("proxmox", "bpg/proxmox", "0.78.2"))


@pytest.fixture
def moved(request: pytest.FixtureRequest, program: Path, tmp_path: Path) -> Tofu:
    """The root of today's modules for the provider `request.param`, with the recorded state."""
    name: str = request.param
    shutil.copytree(builtin("terraform"), tmp_path / "terraform")
    folder = tmp_path / "terraform" / name
    (tmp_path / "token").write_text("secret")
    variables = json.loads((RECORDED / f"{name}.tfvars.json").read_text())
    if "token_file" in variables:
        variables["token_file"] = str(tmp_path / "token")
    shutil.copy(RECORDED / f"{name}.tfstate", folder / "terraform.tfstate")
    tofu = Tofu(program, folder, install_mirror(tmp_path, *PROVIDERS))
    tofu.write(variables)
    tofu.run("init")
    return tofu


@pytest.mark.parametrize("moved", ["incus", "proxmox"], indirect=True)
def test_nodes_keep_their_objects_at_new_addresses(moved: Tofu) -> None:
    before = {(one["type"], one["index_key"]) for one in objects(moved)}
    plan = moved.run("plan", "-refresh=false", "-out=plan").out
    assert "Plan: 0 to add, 0 to change, 0 to destroy." in plan
    moved.run("apply", "plan")

    after = objects(moved)
    assert {(one["type"], one["index_key"]) for one in after} == before
    nodes = [one for one in after if one["name"] == "node"]
    assert len(nodes) == 3
    master = min(one["index_key"] for one in nodes)
    for one in nodes:
        role = "master" if one["index_key"] == master else "worker"
        assert one["module"].endswith(f".module.{role}")


@pytest.mark.parametrize("moved", ["incus", "proxmox"], indirect=True)
def test_a_new_generation_replaces_a_worker_alone_and_a_master_with_its_workers(
    moved: Tofu,
) -> None:
    nodes = sorted({one["index_key"] for one in objects(moved)} - {None})[-3:]
    for changed, replaced in ((nodes[1], nodes[1:2]), (nodes[0], nodes)):
        generation = (
            f'module.{moved.folder.name}.module.master.terraform_data.generation["{changed}"]'
        )
        planned = moved.planned("-refresh=false", f"-replace={generation}")
        again = {address for address, action in planned.items() if action == "replace"}
        machines = {one for one in again if ".node[" in one}
        assert {one.split('"')[1] for one in machines} == set(replaced)


def objects(tofu: Tofu) -> list[dict[str, str]]:
    """Module, type, name and key of every object in the state."""
    state = json.loads((tofu.folder / "terraform.tfstate").read_text())
    return [
        {
            "module": one.get("module", ""),
            "type": one["type"],
            "name": one["name"],
            "index_key": instance["index_key"],
        }
        for one in state["resources"]
        for instance in one["instances"]
    ]
