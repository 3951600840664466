"""Images: baked once, known by their recipe, mended when a bake is killed."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from plexctl.keys.seed import load

from .support import CHECKOUT, Lab, eventually, host_state


@pytest.fixture
def own(lab: Lab, tmp_path: Path) -> Lab:
    """A lab whose type `adm` has a role of its own, so that its image is of this test only."""
    (tmp_path / "clusters").mkdir()
    own = Lab(tmp_path, lab.home)
    own.run("init", "own")
    role = tmp_path / "roles" / "admnode"
    shutil.copytree(CHECKOUT / "roles" / "admnode", role)
    mark = "- name: Leave a mark\n  ansible.builtin.copy:\n    content: {}\n    dest: /etc/mark\n"
    tasks = role / "tasks" / "tools.yml"
    tasks.write_text(tasks.read_text() + "\n" + mark.format(tmp_path.name))
    return own


def baked() -> set[str]:
    return {name for image in host_state().images for name in image.names}


def under_way(own: Lab) -> set[str]:
    """What a bake of this lab has made and will remove: instances, and images without a name."""
    state = host_state()
    lab = load(own.root, own.home / "plexctl").lab_id
    instances = {
        seen.name
        for seen in state.instances.values()
        if "bake" in seen.tags and seen.tags.get("lab") == lab
    }
    nameless = {
        image.fingerprint
        for image in state.images
        if not image.names and image.properties.get("plexctl.lab") == lab
    }
    return instances | nameless


def test_an_image_is_baked_once_and_pruned_when_nothing_uses_it(own: Lab) -> None:
    first = own.ask("bake", "adm")["images"][0]
    again = own.ask("bake", "adm")["images"][0]

    assert first["changed"] is True
    assert again == {**first, "changed": False}
    assert first["name"] in baked()
    own.run("bake", "--prune", "-q")
    assert first["name"] not in baked()


def test_a_killed_bake_leaves_nothing_that_the_next_one_does_not_mend(own: Lab) -> None:
    before = baked()
    process = own.start("bake", "adm")
    eventually("the bake has an instance", lambda: bool(under_way(own)))
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    assert before <= baked()

    image = own.ask("bake", "adm")["images"][0]

    assert image["name"] in baked()
    assert under_way(own) == set()
    own.run("bake", "--prune", "-q")
