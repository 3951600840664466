"""A plex of VMs on a Proxmox host, through plexctl's own verbs, under both engines.

OpenTofu is the pinned one, with a provider of our own.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pycdlib
import pytest
import yaml

from tests.fake_pve import FakePve
from tests.proxmox import with_template

from .proxmox_story import Story, proxmox_lab, with_tofu

STATE = Path("proxmox/terraform.tfstate")


@pytest.fixture(scope="module", params=["direct", "tofu"])
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp
    environment = with_tofu(folder("tofu"))
    with (
        FakePve(task_seconds=0.05, clone_seconds=0.3, agent_seconds=0.5) as pve,
        proxmox_lab(pve, folder, engine=request.param, environment=environment) as story,
    ):
        # What a bake would have made: test_bake_proxmox has one.
        with_template(story.ctx.hosts["pve1"], story.image, story.ctx.seed.lab_id)  # type: ignore[arg-type]
        yield story


def test_a_plex_of_vms_comes_up_and_then_nothing_is_left_to_do(story: Story) -> None:
    story.plexctl("up", "lifecycle", "--no-wait")
    nodes = story.nodes()
    config = nodes["lifecycle1"].config
    answer = story.lab.ask("plan", "lifecycle")

    assert set(nodes) == {"lifecycle1", "lifecycle2", "lifecycle3"}
    assert all(guest.running for guest in nodes.values())
    assert ",bridge=vmbr0,tag=7" in config["net0"]
    assert "size=20G" in config["scsi0"]
    assert int(config["memory"]) == 3072
    assert min(story.pve.vms) >= 9000
    assert answer["changes"] == []
    assert (answer["tofu"] or {"changes": []})["changes"] == []
    assert (answer["tofu"] is not None) == (story.engine == "tofu")


def test_each_node_finds_its_own_files_on_its_seed(story: Story) -> None:
    seen = set()
    for name, guest in story.nodes().items():
        volume = guest.config["ide2"].partition(",")[0]
        iso, boot, meta = pycdlib.PyCdlib(), io.BytesIO(), io.BytesIO()
        iso.open_fp(io.BytesIO(story.pve.storages["local"].volumes[volume].data))
        iso.get_file_from_iso_fp(boot, rr_path="/boot.tar")
        iso.get_file_from_iso_fp(meta, rr_path="/meta-data")
        assert yaml.safe_load(meta.getvalue())["local-hostname"] == name
        assert b"etc/plexctl/network.batch" in boot.getvalue()
        seen.add(boot.getvalue())

    assert len(seen) == 3


def test_programs_run_on_a_node_through_its_agent(story: Story) -> None:
    story.pve.on_exec = lambda guest, argv, given: (7, f"{guest.name} {argv[-1]}\n", "")

    assert "lifecycle2 a b" in story.plexctl("exec", "lifecycle2", "--", "echo", "a b", code=7)


def test_status_lists_instances_though_no_api_answers(story: Story) -> None:
    answer = story.lab.run("status", "lifecycle", "--json", code=1)
    rows = {row["name"]: row["instance"] for row in json.loads(answer.out)["nodes"]}

    assert rows == dict.fromkeys(("lifecycle1", "lifecycle2", "lifecycle3"), "Running")


def test_scaling_leaves_the_others_as_they_are(story: Story) -> None:
    before = story.identities()
    story.plexctl("scale", "lifecycle", "--workers", "3", "--no-wait", "-y")
    more = story.identities()
    story.plexctl("scale", "lifecycle", "--workers", "2", "--no-wait", "-y")

    assert more == {**before, "lifecycle4": more["lifecycle4"]}
    assert story.identities() == before


def test_replace_recreates_the_named_nodes_and_for_a_master_its_workers(story: Story) -> None:
    before = story.identities()
    story.plexctl("replace", "lifecycle2", "--no-wait", "-y")
    one = story.identities()
    story.plexctl("replace", "master", "--no-wait", "-y")
    every = story.identities()

    assert {name for name in before if before[name] != one[name]} == {"lifecycle2"}
    assert {name for name in one if one[name] != every[name]} == set(one)


def test_a_plex_moves_between_engines_and_no_vm_is_recreated(story: Story) -> None:
    before, since = story.identities(), {n: g.started for n, g in story.nodes().items()}
    other = {"direct": "tofu", "tofu": "direct"}[story.engine]
    for engine in (other, story.engine):
        story.plexctl("engine", engine, "lifecycle")
        answer = story.lab.ask("plan")
        assert answer["changes"] == []
        assert (answer["tofu"] or {"changes": []})["changes"] == []
        assert story.folder.exists() == (engine == "tofu")

    assert story.identities() == before
    assert {n: g.started for n, g in story.nodes().items()} == since


def test_the_secret_of_the_token_is_nowhere_to_be_read(story: Story) -> None:
    files = [path for path in story.lab.root.rglob("*") if path.is_file()]
    story.plexctl("plan", "lifecycle")
    given = Path(story.lab.environment["GIVEN"])
    files += [given] if given.exists() else []
    readable = [path for path in files if story.secret.encode() in path.read_bytes()]

    assert readable == []
    assert (story.folder / STATE).exists() == (story.engine == "tofu")
    assert (story.lab.root / "clusters" / "hosts" / "pve1.token.age") in files
    for request in story.pve.requests:
        assert story.secret not in request.path + repr(sorted(map(str, request.params.values())))


def test_destroying_leaves_neither_vms_nor_seeds(story: Story) -> None:
    story.plexctl("destroy", "lifecycle", "--images", "-y")

    assert story.pve.vms == {}
    assert list(story.pve.storages["local"].volumes) == []
    assert list(story.pve.storages["local-lvm"].volumes) == []
