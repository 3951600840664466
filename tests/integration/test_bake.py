"""Images: baked once, named by their recipe, repaired after a killed bake."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plexctl.clients.incus.host import IncusHost
from plexctl.keys.seed import load

from .support import CHECKOUT, LOCAL, Lab, eventually, host, host_state


@pytest.fixture
def own(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab whose type `adm` has a role of its own, so that its image is of this test only."""
    (tmp_path / "clusters").mkdir()
    own = Lab(tmp_path, tmp_path_factory.mktemp("home"))
    own.run("init", "own")
    role = tmp_path / "roles" / "admnode"
    shutil.copytree(CHECKOUT / "roles" / "admnode", role)
    mark = "- name: Leave a mark\n  ansible.builtin.copy:\n    content: {}\n    dest: /etc/mark\n"
    tasks = role / "tasks" / "tools.yml"
    tasks.write_text(tasks.read_text() + "\n" + mark.format(tmp_path.name))
    return own


FILL = """
- name: Fill the pool
  ansible.builtin.shell:
    cmd: |
      while fallocate -l 256M /fill$((n += 1)); do true; done
      dd if=/dev/zero of=/more bs=1M count=600
    creates: /more
"""


@pytest.fixture
def pool() -> Iterator[str]:
    """A small storage pool of its own."""
    name = "plexsmall"

    def storage(*words: str) -> None:
        subprocess.run(("incus", "storage", *words), check=True, timeout=120, capture_output=True)

    storage("create", name, "btrfs", "size=5GiB")
    try:
        yield name
    finally:
        storage("delete", name)


def baked() -> set[str]:
    return {name for image in host_state().images for name in image.names}


def of_nodes() -> set[str]:
    """Images that no other story deletes meanwhile."""
    return {name for name in baked() if name.startswith(("plex-base-", "plex-kube-"))}


def under_way(own: Lab) -> set[str]:
    """Temporary objects of a bake of this lab: instances, and images without a name."""
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
    of_old = replace(own, command=(str(CHECKOUT / "bin" / "lxdbake"),))

    assert first["changed"] is True
    assert again == {**first, "changed": False}
    output = of_old.run("local:demo0", "adm", "debian12").out
    assert f"demo0: {first['name']} on local" in output
    assert "unchanged" in output
    assert "there is no base debian" in of_old.run("local:demo0", "adm", "debian", code=2).err
    assert first["name"] in baked()
    own.run("bake", "--prune", "-q")
    assert first["name"] not in baked()


def test_a_killed_bake_leaves_nothing_that_the_next_one_does_not_mend(own: Lab) -> None:
    before = of_nodes()
    process = own.start("bake", "adm")
    eventually("the bake has an instance", lambda: bool(under_way(own)))
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert before <= of_nodes()

    image = own.ask("bake", "adm")["images"][0]

    assert image["name"] in baked()
    assert under_way(own) == set()
    own.run("bake", "--prune", "-q")


def test_what_a_killed_bake_left_is_deleted_by_the_next_one_of_another_lab(
    own: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its instance ran for ever: the other lab deletes the folder that was its only trace."""
    process = own.start("bake", "adm")
    eventually("the bake has an instance", lambda: bool(under_way(own)))
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    other = Lab(tmp_path_factory.mktemp("other"), tmp_path_factory.mktemp("home"))
    other.run("init", "otherlab")

    other.run("bake", "-q")

    assert under_way(own) == set()


def test_a_full_pool_is_reported_and_nothing_stays_in_it(own: Lab, pool: str) -> None:
    hosts = own.root / "clusters" / "hosts.yaml"
    hosts.write_text(f"hosts: {{local: {{pool: {pool}}}}}\n")
    tasks = own.root / "roles" / "admnode" / "tasks" / "tools.yml"
    before = tasks.read_text()
    tasks.write_text(before + FILL)

    refused = own.run("bake", "adm", code=1)
    assert "No space left on device" in refused.err
    assert under_way(own) == set()

    tasks.write_text(before)
    small = IncusHost(replace(LOCAL, pool=pool))
    # What is deleted is given back a little later by btrfs.
    eventually("there is room again", lambda: small.pool_free() > 4 << 30, seconds=60)
    image = own.ask("bake", "adm")["images"][0]
    assert image["changed"] is True
    (made,) = (one for one in host_state().images if image["name"] in one.names)
    host().delete_image(made.fingerprint)
