"""Containers on a Proxmox host: by its API, and by SSH what the API does not accept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.errors import PlexError
from plexctl.model.resources import Key, Kind
from plexctl.model.types import Form
from plexctl.plan.resources.specs import ProxmoxSpec
from plexctl.plan.resources.types import Instance, Owner
from plexctl.provision.change import Action, DiffOptions
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import ApplyJob
from tests.fake_node import Node, install
from tests.fake_pve import FakePve, Guest
from tests.null_reporter import NullReporter
from tests.proxmox import client_of, documented_privileges, with_login

OWNER = Owner("lab1", "demo")
IMAGE = "plex-kube-0123456789ab"
VOLUME = f"local:vztmpl/plexctl-lab1-{IMAGE}.tar.gz"
BOOT = b"keys of the node"


@pytest.fixture
def pve() -> Iterator[FakePve]:
    with FakePve(task_seconds=0.01) as fake:
        fake.add_volume(VOLUME, b"archive")
        yield fake


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    node = install(tmp_path)
    monkeypatch.setenv("PATH", node.path)
    return node


@pytest.fixture
def server(pve: FakePve, node: Node) -> ProxmoxHost:
    return with_login(client_of(pve), "root@pve1.test:2222")


def container(
    number: int,
    *,
    vlan: int | None = None,
    disk: int | None = None,
    cores: int | None = None,
    privileged: bool = True,
) -> Instance:
    mac = f"10:66:6a:00:00:0{number}"
    spec = ProxmoxSpec(mac, "vmbr0", 2048, cores=cores, disk=disk, vlan=vlan, privileged=privileged)
    name, parent = f"demo{number}", None if number == 1 else Key(Kind.INSTANCE, "pve1", "demo1")
    return Instance(name, "pve1", OWNER, Form.CONTAINER, IMAGE, spec, BOOT, parent=parent)


WANTED = (container(1, vlan=7, disk=5000, cores=3), container(2))


def apply(server: ProxmoxHost, wanted: tuple[Instance, ...] = WANTED) -> list[tuple[Action, str]]:
    engine = DirectEngine({"pve1": server})
    states = engine.read(["pve1"])
    changes = engine.diff(wanted, states, DiffOptions(OWNER))
    engine.apply(ApplyJob(wanted, changes, states, "run1", NullReporter()))
    return [(change.action, change.name) for change in changes]


def guests(pve: FakePve) -> dict[str, Guest]:
    return {guest.name: guest for guest in pve.vms.values()}


def test_containers_are_created_and_a_second_run_changes_nothing(
    pve: FakePve, server: ProxmoxHost
) -> None:
    made = apply(server)
    first = guests(pve)["demo1"]

    assert made == [(Action.CREATE, "demo1"), (Action.CREATE, "demo2")]
    assert apply(server) == []
    assert all(guest.kind == "lxc" and guest.running for guest in guests(pve).values())
    assert "bridge=vmbr0,hwaddr=10:66:6a:00:00:01" in first.config["net0"]
    assert first.config["net0"].endswith("tag=7")
    assert "size=5G" in first.config["rootfs"]
    assert (first.config["cores"], first.config["memory"]) == (3, 2048)
    assert (first.config["ostype"], first.config["unprivileged"]) == ("unmanaged", 0)
    assert first.tags == ["plex-demo", "plexctl"]


def test_a_node_has_its_files_and_the_options_for_kubelet_before_it_starts(
    pve: FakePve, server: ProxmoxHost, node: Node
) -> None:
    observed: list[tuple[bytes, int]] = []

    def look(guest: Guest) -> None:
        boot = node.file(guest.vmid, "/var/lib/plexctl/boot.tar")
        observed.append((boot.read_bytes(), boot.stat().st_mode & 0o777))

    pve.on_start = look
    apply(server)
    raw = node.config(guests(pve)["demo2"].vmid)

    assert observed == [(BOOT, 0o600)] * 2
    assert "lxc.apparmor.profile: unconfined\n" in raw
    assert "lxc.mount.auto: proc:rw sys:rw cgroup:rw:force\n" in raw
    assert node.mounted() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_files_belong_to_root_of_the_container_though_that_is_another_user_outside(
    server: ProxmoxHost, node: Node
) -> None:
    rootfs = node.file(9000, "/")
    rootfs.mkdir(parents=True)
    os.chown(rootfs, 100000, 100000)
    server.containers.write_file(9000, "/var/lib/plexctl/boot.tar", BOOT)
    boot = node.file(9000, "/var/lib/plexctl/boot.tar")

    assert {(one.stat().st_uid, one.stat().st_gid) for one in (boot, boot.parent)} == {
        (100000, 100000)
    }


def test_no_key_is_in_an_argument_of_ssh(server: ProxmoxHost, node: Node) -> None:
    apply(server)

    assert {tuple(options[-4:]) for options, _, _ in node.calls()} == {
        ("-p", "2222", "--", "root@pve1.test")
    }
    assert BOOT.decode() not in str(node.calls())
    assert len(BOOT) in [fed for _, _, fed in node.calls()]


def test_the_documented_privileges_are_enough(pve: FakePve, node: Node) -> None:
    poor = with_login(client_of(pve, documented_privileges()), "root@pve1.test")
    with pytest.raises(PlexError, match=r"lacks Sys\.Modify on /"):
        apply(poor, WANTED[:1])
    enough = with_login(client_of(pve, [*documented_privileges(), "Sys.Modify"]), "root@pve1.test")

    assert apply(enough) == [(Action.CREATE, "demo1"), (Action.CREATE, "demo2")]
    assert apply(enough, ()) == [(Action.DELETE, "demo1"), (Action.DELETE, "demo2")]


def test_a_container_whose_creation_was_interrupted_is_replaced(
    pve: FakePve, server: ProxmoxHost, node: Node
) -> None:
    node.refuse()
    with pytest.raises(PlexError, match="ssh") as caught:
        apply(server, WANTED[:1])
    half = guests(pve)["demo1"]
    node.accept()

    assert "without a password" in str(caught.value.hint)
    assert apply(server, WANTED[:1]) == [(Action.REPLACE, "demo1")]
    assert guests(pve)["demo1"] is not half


def test_one_that_is_not_wanted_goes(pve: FakePve, server: ProxmoxHost) -> None:
    apply(server)

    assert apply(server, WANTED[:1]) == [(Action.DELETE, "demo2")]
    assert set(guests(pve)) == {"demo1"}
    assert not [volume for volume in pve.storages["local-lvm"].volumes if "disk-1" in volume]


def test_programs_run_in_a_container(server: ProxmoxHost) -> None:
    apply(server)
    done = server.execute("demo1", ("echo", "it's", "$HOME"))

    assert (done.code, done.stdout) == (7, "echo it's $HOME\n")


def test_a_template_that_is_missing_is_named(pve: FakePve, server: ProxmoxHost) -> None:
    server.delete_image(VOLUME)

    with pytest.raises(PlexError, match=f"no template {IMAGE}"):
        apply(server, WANTED[:1])


def test_archives_are_images_and_others_are_left_out(pve: FakePve, server: ProxmoxHost) -> None:
    pve.add_volume("local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst", b"x")
    (image,) = server.read().images

    assert (image.fingerprint, image.names) == (VOLUME, (IMAGE,))
    assert image.properties["plexctl.lab"] == "lab1"
