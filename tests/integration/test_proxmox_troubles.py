"""Errors of a Proxmox host, and how the next run repairs them, under both engines."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fake_pve import FakePve, Guest
from tests.proxmox import documented_privileges, with_template

from .proxmox_story import Story, proxmox_lab, with_tofu
from .support import eventually

NODES = {"lifecycle1", "lifecycle2", "lifecycle3"}


@pytest.fixture(scope="module", params=["direct", "tofu"])
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """A plex that is up."""
    folder = tmp_path_factory.mktemp
    environment = with_tofu(folder("tofu")) if request.param == "tofu" else {}
    with (
        FakePve(task_seconds=0.05, clone_seconds=0.3, agent_seconds=0.5) as pve,
        proxmox_lab(pve, folder, engine=request.param, environment=environment) as story,
    ):
        with_template(story.ctx.hosts["pve1"], story.image, story.ctx.seed.lab_id)  # type: ignore[arg-type]
        story.plexctl("up", "lifecycle", "--no-wait")
        yield story


def test_locks_and_a_node_out_of_reach_for_a_moment_are_no_failures(story: Story) -> None:
    story.pve.fail_next("POST", r"/clone$", 500, "VM is locked (clone)", count=2)
    story.pve.fail_next("GET", r"/nodes/pve1/qemu$", 595, "Connection timed out", count=2)
    if story.engine == "direct":  # what the provider does about it is its own affair
        story.pve.fail_next("PUT", r"/config$", 596, "Broken pipe", after=True)

    story.plexctl("replace", "lifecycle3", "--no-wait", "-y")
    assert set(story.nodes()) == NODES


def test_the_next_run_repairs_one_that_failed_half_way(story: Story) -> None:
    story.pve.fail_task("imgcopy", "no space left on device")
    said = story.plexctl("replace", "lifecycle3", "--no-wait", "-y", code=1)
    story.plexctl("up", "lifecycle", "--no-wait")

    assert "no space left on device" in said
    assert set(story.nodes()) == NODES


def test_a_privilege_that_is_missing_is_named(story: Story) -> None:
    rights = {"/": ["VM.Audit", "VM.Allocate", "Datastore.Audit", "Sys.Audit"]}
    story.pve.add_token("plexctl@pve", "lab", rights)
    said = story.plexctl("replace", "lifecycle3", "--no-wait", "-y", code=1)
    story.pve.add_token("plexctl@pve", "lab", documented_privileges())

    if story.engine == "direct":
        assert "the token plexctl@pve!lab lacks" in said
        assert "pveum acl modify" in said
    else:
        assert "Permission check failed" in said
    assert "Traceback" not in said
    story.plexctl("up", "lifecycle", "--no-wait")


def test_a_host_that_does_not_answer_is_reported_in_bounded_time(story: Story) -> None:
    story.pve.node_down("pve1")
    said = story.plexctl("up", "lifecycle", "--no-wait", code=1)
    story.pve.node_up("pve1")

    assert "node pve1 cannot be reached" in said
    assert "No route to host" in said


def test_a_tofu_that_is_killed_leaves_nothing_that_the_next_run_does_not_mend(
    story: Story,
) -> None:
    if story.engine == "direct":
        pytest.skip("there is no OpenTofu")
    story.pve.clone_seconds = 1.0
    before = set(story.pve.vms)
    process = story.lab.start("scale", "lifecycle", "--workers", "5", "--no-wait", "-y")
    eventually("a clone is under way", lambda: set(story.pve.vms) != before)
    for pid in _working_in(story.folder):
        os.kill(pid, signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    story.pve.clone_seconds = 0.3
    story.plexctl("scale", "lifecycle", "--workers", "5", "--no-wait", "-y")
    names = [guest.name for guest in story.pve.vms.values() if not guest.template]
    story.plexctl("scale", "lifecycle", "--workers", "2", "--no-wait", "-y")

    assert "was killed" in said
    assert sorted(names) == [f"lifecycle{number}" for number in range(1, 7)]
    assert set(story.nodes()) == NODES


def _working_in(folder: Path) -> list[int]:
    """Processes of OpenTofu there, and the providers that they have started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found


def test_clones_of_a_killed_provider_are_deleted_with_the_plex(story: Story) -> None:
    """Until it is configured, a clone has the notes of its template."""
    (template,) = [guest for guest in story.pve.vms.values() if guest.template]
    config = {"name": "lifecycle9", "description": template.config["description"], "vmgenid": "-"}
    config["tags"] = template.config["tags"]
    story.pve.vms[12345] = Guest(12345, "pve1", "qemu", config)
    story.plexctl("up", "lifecycle", "--no-wait")

    assert set(story.nodes()) == NODES
