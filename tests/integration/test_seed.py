"""The seed of a VM, on real cloud-init: a container stands for the VM, and its seed is a disc.

No udev runs in a container, so nothing waits for the interface, and cloud-init's first look at the
discs, which it does not take in a container, is left out. Where the kernel has no ISO 9660, FUSE
reads the disc. The rest is as on a VM.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from plexctl.bake.clean import VM_CLEAN
from plexctl.clients.incus.host import IncusHost
from plexctl.keys.seed import RootSeed
from plexctl.model.host_spec import HostFacts
from plexctl.model.nodes import nodes
from plexctl.model.plex import JsonText, Networks, Plex
from plexctl.model.secret import Secret
from plexctl.model.settings import settings
from plexctl.model.types import Base, BaseSource, Form, NodeType, Size
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import plan_plex
from plexctl.plan.resources.profile import container_config
from plexctl.plan.resources.types import Network

from .nested import base_image
from .seed_machine import NAME, Machine
from .support import CHECKOUT, LOCAL, create_network, delete_network, eventually, host

ROLE = CHECKOUT / "roles" / "base"
BOOT = "/usr/local/lib/plexctl/boot"
PLEX = "seedt"
SECOND = 1  # the node whose seed it is: a worker


@pytest.fixture(scope="module")
def plex() -> Plex:
    base = Base("cloud", "bookworm", Form.VM, BaseSource.CLOUD, (), None, None, None, "x", "x")
    none = JsonText("{}")
    return Plex(
        name=PLEX,
        file=Path("clusters/seedt/plex.yaml"),
        kubernetes="1.36.3",
        host_order=("local",),
        type=NodeType("kube", "kubenode", base, (), True, True, Size()),
        workers=2,
        networks=Networks(
            IPv4Network("10.97.213.0/28"),
            IPv4Network("10.141.208.0/20"),
            IPv4Network("10.98.208.0/24"),
        ),
        domain="cluster.local",
        dns_replicas=1,
        epoch=1,
        groups=(),
        cluster=none,
        proxy=none,
    )


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    programs = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
    return Inputs(
        RootSeed(Secret(os.urandom(32))),
        {"local": replace(LOCAL)},
        {"local": HostFacts(2, sys_resource=True, cpus=2, memory=8 << 30)},
        {name: f"registry.k8s.io/{name}:v1" for name in programs},
        {("local", "kube"): "plex-kube-0123456789ab"},
    )


@pytest.fixture(scope="module")
def machine(
    plex: Plex, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A container that has booted once from the seed of the plan's second node."""
    incus, plan = host(), plan_plex(plex, inputs)
    network = next(r for r in plan.resources if isinstance(r, Network))
    node, instance = plan.nodes[SECOND], plan.instances[SECOND]
    disc = tmp_path_factory.mktemp("seed") / "seed.iso"
    disc.write_bytes(instance.boot)
    loop = _output("losetup", "--find", "--show", "--read-only", str(disc)).strip()
    try:
        _remove(incus, network.name)
        create_network(incus, plan)
        nic = {"type": "nic", "network": network.name, "name": "eth0", "hwaddr": node.mac}
        devices = {
            "root": {"type": "disk", "path": "/", "pool": LOCAL.pool},
            "eth0": nic,
            "cidata": {"type": "unix-block", "source": loop, "path": loop},
        }
        _create(incus, devices)
        found = Machine(incus, _boot_tar(instance.boot), node.name, str(node.address))
        incus.start(NAME)
        eventually("the container runs", lambda: incus.execute(NAME, ("true",)).code == 0)
        found.prepare(gateway=str(plex.networks.gateway().ip))
        policy = {"/etc/cloud/ds-identify.cfg": "policy: enabled\n"}
        for path, content in (_of_the_role() | policy).items():
            assert incus.instances.push(NAME, path, content.encode(), mode=0o644)
        assert incus.instances.push(
            NAME, BOOT, (ROLE / f"files/base{BOOT}").read_bytes(), mode=0o755
        )
        incus.stop(NAME)
        found.start()
        yield found
    finally:
        _remove(incus, network.name)
        _output("losetup", "--detach", loop)


def _of_the_role() -> dict[str, str]:
    """Files that the role gives to a VM only, without what waits for udev."""
    tasks = yaml.safe_load((ROLE / "tasks/base.yml").read_text())
    of_vms = [task for task in tasks if "'vm'" in str(task.get("when"))]
    copies = [task["ansible.builtin.copy"] for task in of_vms if "ansible.builtin.copy" in task]
    files = {copy["dest"]: copy["content"] for copy in copies}
    unit = "/etc/systemd/system/plex-boot.service.d/vm.conf"
    assert "sys-subsystem-net-devices-eth0.device" in files[unit]
    files[unit] = re.sub(r"sys-subsystem-net-devices-eth0.device ?", "", files[unit])
    return files


def _create(incus: IncusHost, devices: dict[str, dict[str, str]]) -> None:
    facts = incus.facts()
    incus.instances.create(
        NAME,
        image=base_image(),
        form=Form.CONTAINER,
        profiles=(),
        config=settings(container_config(privileged=True, facts=facts)),
        devices=tuple((name, settings(device)) for name, device in sorted(devices.items())),
    )


def _remove(incus: IncusHost, network: str) -> None:
    state = incus.read()
    if NAME in state.instances:
        incus.delete_instance(NAME)
    delete_network(incus, state, network)


def _boot_tar(seed: bytes) -> bytes:
    import pycdlib

    disc, content = pycdlib.PyCdlib(), io.BytesIO()
    disc.open_fp(io.BytesIO(seed))
    disc.get_file_from_iso_fp(content, rr_path="/boot.tar")
    disc.close()
    return content.getvalue()


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout


def test_cloud_init_takes_the_seed_and_is_content(machine: Machine) -> None:
    assert machine.run("cloud-id").strip() == "nocloud"
    status = machine.run("cloud-init", "status", "--long")
    assert "status: done" in status
    assert "DataSourceNoCloud [seed=/dev/" in status


def test_every_file_of_the_tar_is_in_its_place_with_its_mode(machine: Machine) -> None:
    with tarfile.open(fileobj=io.BytesIO(machine.boot)) as tar:
        members = {f"/{m.name}": (m, tar.extractfile(m) if m.isfile() else None) for m in tar}
        wanted = {
            path: (m.mode, m.uname, sha256(file.read()).hexdigest() if file else m.linkname)
            for path, (m, file) in members.items()
        }
    look = (
        "import hashlib,json,os,stat,sys,pwd\n"
        "found={}\n"
        "for path in json.load(open('/root/paths')):\n"
        "    s=os.lstat(path)\n"
        "    kind=stat.S_IFMT(s.st_mode)\n"
        "    what=hashlib.sha256(open(path,'rb').read()).hexdigest() if kind==stat.S_IFREG else "
        "os.readlink(path) if kind==stat.S_IFLNK else ''\n"
        "    found[path]=(stat.S_IMODE(s.st_mode),pwd.getpwuid(s.st_uid).pw_name,what)\n"
        "print(json.dumps(found))\n"
    )
    machine.incus.instances.push(
        NAME, "/root/paths", json.dumps(sorted(wanted)).encode(), mode=0o600
    )
    found = json.loads(machine.run("python3", "-c", look))

    assert {path: tuple(what) for path, what in found.items()} == wanted
    assert len(wanted) > 15


def test_the_tar_and_the_seed_are_put_away(machine: Machine) -> None:
    machine.run("test", "!", "-e", "/var/lib/plexctl/boot.tar")
    assert "/run/plexctl/seed" not in machine.run("cat", "/proc/mounts")


def test_the_machine_has_the_name_of_its_node(machine: Machine) -> None:
    assert machine.run("hostname").strip() == machine.node != NAME
    assert machine.run("cat", "/etc/hostname").strip() == machine.node


def test_its_address_and_routes_are_the_plans(machine: Machine, plex: Plex) -> None:
    _network_is_planned(machine, plex)


def test_a_second_boot_changes_nothing(machine: Machine, plex: Plex) -> None:
    renewed = "/var/lib/kubelet/pki/renewed.pem"
    machine.run(
        "/bin/sh", "-c", f"echo renewed > {renewed}; echo mine > /etc/kubernetes/kubelet.conf"
    )
    identity = machine.run("cat", "/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub")

    machine.boot_again()

    assert machine.run("cat", "/etc/kubernetes/kubelet.conf") == "mine\n"
    assert machine.run("cat", "/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub") == identity
    assert machine.run("hostname").strip() == machine.node
    assert machine.run("ls", "/etc/ssh").count("ssh_host") == 2
    _network_is_planned(machine, plex)


def test_an_image_contains_no_trace_of_a_seed(machine: Machine) -> None:
    written = machine.run("/bin/sh", "-c", "ls /etc/netplan /var/lib/cloud/instance/")
    assert "50-cloud-init.yaml" in written

    machine.run("/bin/sh", "-c", VM_CLEAN)

    left = "ls -A /etc/netplan; find /var/lib/cloud /etc/ssh/ssh_host_* 2>/dev/null; true"
    assert "cloud-init" not in machine.run("/bin/sh", "-c", left)
    assert "ssh_host" not in machine.run("/bin/sh", "-c", left)
    assert machine.run("cat", "/etc/machine-id") == ""
    machine.run("systemctl", "is-active", "systemd-journald.service")


def _network_is_planned(machine: Machine, plex: Plex) -> None:
    addresses = machine.run("ip", "-4", "-o", "address", "show", "dev", "eth0")
    assert machine.address in addresses
    assert addresses.count(" inet ") == 1
    routes = machine.run("ip", "-4", "route")
    assert routes.count("default via") == 1
    assert f"default via {plex.networks.gateway().ip}" in routes
    for other in nodes(plex):
        present = f"{other.pods} via {other.address.ip}" in routes
        assert present == (other.name != machine.node), other.name
    machine.run("systemctl", "is-active", "plex-boot.service")
