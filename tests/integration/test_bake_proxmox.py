"""A template is baked over SSH. The VM that the fake host starts is a real container of Incus."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pycdlib
import pytest
import yaml

from plexctl.bake.builder import BakeSetup
from plexctl.bake.incus import IncusBuilder
from plexctl.bake.proxmox import BakeAddress, ProxmoxBuilder
from plexctl.bake.roles import role_digests
from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.model.host_spec import VM_FACTS
from plexctl.model.secret import Secret
from plexctl.model.settings import devices, settings
from plexctl.model.types import Base, BaseSource, Form, Layer, NodeType, Size
from plexctl.plan.recipes import Recipe, recipe
from tests.fake_pve import FakePve, Guest
from tests.null_reporter import NullReporter
from tests.proxmox import client_of, documented_privileges

from .nested import base_image
from .support import host

NAME = "pvebake"
GATEWAY = "198.18.75.1/24"
BAKE_ADDRESS = BakeAddress(IPv4Interface("198.18.75.254/24"), IPv4Address("198.18.75.1"), "vmbr0")
SEED = RootSeed(Secret(bytes(range(32))))
DISK = b"QFI\xfb" + bytes(20) + (2 << 30).to_bytes(8) + bytes(100)

# What cloud-init makes of the seed, as far as a bake needs it.
BOOT = """\
set -eu
ip link set dev eth0 up
ip address replace {address} dev eth0
mkdir -p /root/.ssh /run/sshd
chmod 700 /root/.ssh
echo 'HostKey /etc/ssh/bake' > /etc/ssh/sshd_config.d/bake.conf
chmod 600 /etc/ssh/bake
ln -s /bin/true /usr/local/bin/cloud-init
/usr/sbin/sshd
"""


def read_seed(pve: FakePve, guest: Guest, name: str) -> str:
    volume = guest.config["ide2"].partition(",")[0]
    iso, content = pycdlib.PyCdlib(), io.BytesIO()
    iso.open_fp(io.BytesIO(pve.storages["local"].volumes[volume].data))
    iso.get_file_from_iso_fp(content, rr_path=f"/{name}")
    return content.getvalue().decode()


class Machine:
    """The container that stands for the disk of a VM: it is there as long as that is."""

    def __init__(self, image: str) -> None:
        self.image, self.incus = image, host()

    def start(self, pve: FakePve, guest: Guest) -> None:
        config = {"security.privileged": "true", "raw.lxc": "lxc.init.cmd=/bin/sleep infinity"}
        nic = {"type": "nic", "network": NAME, "name": "eth0"}
        disk = {"type": "disk", "path": "/", "pool": self.incus.spec.pool}
        self.incus.instances.create(
            NAME,
            image=self.image,
            form=Form.CONTAINER,
            profiles=(),
            config=settings(config),
            devices=devices({"eth0": nic, "root": disk}),
        )
        self.incus.start(NAME)
        user = yaml.safe_load(read_seed(pve, guest, "user-data"))
        network = yaml.safe_load(read_seed(pve, guest, "network-config"))
        (address,) = network["ethernets"]["bake"]["addresses"]
        key = user["ssh_keys"]["ed25519_private"].encode()
        self.incus.instances.push(NAME, "/etc/ssh/bake", key, mode=0o600)
        done = self.incus.execute(NAME, ("/bin/sh", "-c", BOOT.format(address=address)))
        assert done.code == 0, done
        (known,) = user["users"][0]["ssh_authorized_keys"]
        self.incus.instances.push(NAME, "/root/.ssh/authorized_keys", known.encode(), mode=0o600)

    def clean(self) -> None:
        self.incus.delete_instance(NAME)
        if NAME in self.incus.read().networks:
            self.incus.networks.delete(NAME)


@pytest.fixture
def machine() -> Iterator[Machine]:
    incus = host()
    machine = Machine(base_image())
    machine.clean()
    config = {"ipv4.address": GATEWAY, "ipv4.nat": "false", "ipv6.address": "none"}
    incus.networks.put(NAME, settings(config), exists=False)
    yield machine
    machine.clean()


@pytest.fixture
def pve(machine: Machine) -> Iterator[FakePve]:
    with FakePve(task_seconds=0.02) as fake:
        fake.on_start = lambda guest: machine.start(fake, guest)
        yield fake


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """The URL of a disk image. The fake host reads no more of it than its size."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "disk.qcow2").write_bytes(DISK)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/disk.qcow2"
        server.shutdown()


def roles(folder: Path) -> Path:
    """A role for bases and one for a type, each of which leaves a file."""
    for role, layer in (("base", "base"), ("box", "box")):
        (folder / role / "tasks").mkdir(parents=True)
        (folder / role / "files" / layer).mkdir(parents=True)
        (folder / role / "files" / layer / "word").write_text(f"{layer} was here")
        task = {
            "name": "Leave a file",
            "ansible.builtin.copy": {
                "src": "{{ plex_role }}/files/" + layer + "/word",
                "dest": f"/opt/{layer}",
                "remote_src": True,
                "mode": "0644",
            },
            "when": "plex_form == 'vm'",
        }
        (folder / role / "tasks" / f"{layer}.yml").write_text(yaml.safe_dump([task]))
    return folder


def wanted(folder: Path, disk: str) -> Recipe:
    checksum = "sha256:" + hashlib.sha256(DISK).hexdigest()
    base = Base(
        "tiny", "bookworm", Form.VM, BaseSource.CLOUD, (), None, None, None,
        url=disk, checksum=checksum,
    )  # fmt: skip
    node = NodeType("box", "box", base, (Layer("box", ()),), False, False, Size())
    digests = role_digests(lambda role: folder / role, (node,))
    return recipe(node, "1.36.3", roles=digests, artifacts={}, facts=VM_FACTS)


def builder(server: ProxmoxHost, roles: Path, work: Path) -> ProxmoxBuilder:
    setup = BakeSetup({}, lambda role: roles / role, SEED, NullReporter(), work)

    def containers() -> IncusBuilder:
        raise AssertionError("templates of VMs are baked without an Incus server")

    return ProxmoxBuilder(server, setup, lambda: BAKE_ADDRESS, containers)


def test_a_template_is_made_of_a_cloud_image_and_its_layers(
    pve: FakePve, machine: Machine, disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plexctl.bake.proxmox._INSTALL", "true ")  # no mirror is reached from here
    folder = roles(tmp_path / "roles")
    server = client_of(pve, documented_privileges())
    found = wanted(folder, disk)
    files: dict[str, str] = {}

    def look(guest: Guest) -> None:
        words = ("/bin/sh", "-c", "cat /opt/base /opt/box; ls -A /root/.ssh /var/tmp")
        files["all"] = machine.incus.execute(NAME, words).stdout
        machine.incus.delete_instance(NAME)

    pve.on_stop = look

    def bake() -> tuple[str, bool]:
        image = builder(server, folder, tmp_path / "work").ensure(found, VM_FACTS)
        return image.name, image.changed

    assert bake() == (found.name, True)
    assert bake() == (found.name, False)
    (template,) = pve.vms.values()
    assert template.template
    assert template.name == found.name
    assert "base was herebox was here" in files["all"]
    assert "authorized_keys" not in files["all"]
    assert "plexctl" not in files["all"]
    assert list(pve.storages["local"].volumes) == []


def test_objects_of_a_failed_bake_are_deleted(
    pve: FakePve, machine: Machine, disk: str, tmp_path: Path
) -> None:
    folder, server = roles(tmp_path / "roles"), client_of(pve)
    pve.fail_task("qmstart", "start failed")
    with pytest.raises(PlexError, match="start failed"):
        builder(server, folder, tmp_path / "work").ensure(wanted(folder, disk), VM_FACTS)

    assert pve.vms == {}
    assert not any(storage.volumes for storage in pve.storages.values())
