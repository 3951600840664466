"""terraform/ with the pinned OpenTofu, a provider of our own and the real Incus; no plexctl."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from ...provider.incus.client import NotFoundError, Server
from ...provider.tofu import Tofu
from ..support import LOCAL
from .plex import (
    GENERATION,
    IMAGES,
    MASTER,
    NAME,
    SECRET,
    SEED_RESOURCE,
    VOLUME,
    WORKER,
    adopt,
    instances,
    resource,
    variables,
)


def test_a_plex_from_its_first_node_to_its_last(tofu: Tofu, server: Server) -> None:
    wanted = variables(tofu)
    tofu.write(wanted)
    assert set(tofu.planned().values()) == {"create"}

    tofu.run("apply", "-auto-approve")

    first = instances(server)
    assert first.keys() == {MASTER, *WORKER}
    for name in first:
        seen = server.get("instances", name)
        assert seen["status"] == "Running"
        assert seen["profiles"] == [f"{NAME}-kube"]
    assert tofu.is_done()
    output = json.loads(tofu.run("output", "-json", "instances").out)
    assert output[MASTER] == {"host": "local", "status": "Running"}

    # One worker, by a new generation; only it.
    wanted["instances"][WORKER[0]] |= {"generation": "b", "image": IMAGES[1]}
    tofu.write(wanted)
    assert tofu.planned()[resource(WORKER[0])] == "replace"
    tofu.run("apply", "-auto-approve")
    second = instances(server)
    assert {name for name in first if first[name] != second[name]} == {WORKER[0]}
    assert base_image(server, WORKER[0]) == target(server, IMAGES[1])

    # The master by hand; all workers with it, and they are gone before it is made.
    order = tofu.run("apply", "-auto-approve", f'-replace=module.incus.{GENERATION}["{MASTER}"]')
    third = instances(server)
    assert all(second[name] != third[name] for name in second)
    created = order.out.index(f"module.incus.{resource(MASTER)}: Creating...")
    for name in WORKER:
        gone = order.out.index(f"module.incus.{resource(name)}: Destruction complete")
        assert gone < created < order.out.index(f"module.incus.{resource(name)}: Creating...")

    # A change of a node that does not change its hash does not recreate it.
    wanted["instances"][MASTER]["config"]["user.plex.note"] = "n"
    del wanted["instances"][WORKER[1]]
    tofu.write(wanted)
    tofu.run("apply", "-auto-approve")
    fourth = instances(server)
    assert fourth == {name: third[name] for name in (MASTER, WORKER[0])}
    assert tofu.is_done()

    tofu.run("destroy", "-auto-approve")
    assert instances(server) == {}
    with pytest.raises(NotFoundError):
        server.get("networks", NAME)


def base_image(server: Server, name: str) -> str:
    return str(server.get("instances", name)["config"]["volatile.base_image"])


def target(server: Server, alias: str) -> str:
    return str(server.get("images", "aliases", alias)["target"])


def test_a_node_has_its_boot_tar_and_the_state_only_its_path(tofu: Tofu, server: Server) -> None:
    tofu.write(variables(tofu, 1))
    tofu.run("apply", "-auto-approve")

    pulled = subprocess.run(
        ["incus", "file", "pull", f"{MASTER}/var/lib/plexctl/boot.tar", str(tofu.folder / "got")],
        check=False,
        timeout=60,
    )
    assert pulled.returncode == 0
    got = tofu.folder / "got"
    assert got.read_text() == SECRET
    assert got.stat().st_mode & 0o777 == 0o600
    state = (tofu.folder / "terraform.tfstate").read_text()
    assert "boot.tar" in state
    assert SECRET not in state


def test_a_volume_with_the_bytes_of_a_file(tofu: Tofu, server: Server) -> None:
    """As the seed of a virtual machine, of which this host may be able to make none."""
    wanted = variables(tofu, 1, stopped=True)
    first, second = (tofu.folder / f"seed-{name}.iso" for name in "ab")
    for seed in (first, second):
        seed.write_bytes(bytes(4096))
    volume = wanted["volumes"][VOLUME]
    volume |= {"content_type": "iso", "config": {}, "source": str(first)}
    tofu.write(wanted)
    tofu.run("apply", "-auto-approve")
    assert seen_volume(server)["content_type"] == "iso"
    assert tofu.is_done()

    (tofu.folder / "terraform.tfstate").unlink()
    assert adopt(tofu, wanted, instances(server))[SEED_RESOURCE] == "import"
    assert tofu.is_done()

    volume["source"] = str(second)
    tofu.write(wanted)
    assert tofu.planned()[SEED_RESOURCE] == "replace"
    tofu.run("apply", "-auto-approve")
    shown = tofu.run("state", "show", f"module.incus.{SEED_RESOURCE}").out
    assert str(second) in shown
    assert tofu.is_done()


def seen_volume(server: Server) -> Any:
    return server.get("storage-pools", LOCAL.pool, "volumes", "custom", f"{NAME}-data")


def test_a_virtual_machine_gets_its_boot_tar_from_its_agent(tofu: Tofu) -> None:
    """Only planned: to start it takes a processor that this host may not have."""
    wanted = variables(tofu, 1)
    wanted["instances"][MASTER]["form"] = "virtual-machine"
    tofu.write(wanted)

    tofu.run("plan", "-out=plan")

    plan = json.loads(tofu.run("show", "-json", "plan").out)
    (change,) = (
        one["change"]["after"]
        for one in plan["resource_changes"]
        if one["address"].endswith(resource(MASTER))
    )
    assert change["type"] == "virtual-machine"
    assert [one["type"] for one in change["wait_for"]] == ["agent"]
    (file,) = change["file"]
    assert (file["target_path"], file["mode"], file["content"]) == (
        "/var/lib/plexctl/boot.tar",
        "0600",
        None,
    )


def test_another_hash_is_another_node(tofu: Tofu) -> None:
    wanted = variables(tofu, 2)
    tofu.write(wanted)
    tofu.run("apply", "-auto-approve")
    wanted["instances"][MASTER]["config"]["user.plex.hash"] = "2"
    tofu.write(wanted)

    planned = tofu.planned()

    assert {planned[resource(name)] for name in (MASTER, WORKER[0])} == {"replace"}
