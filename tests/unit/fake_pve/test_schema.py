"""A request that the official schema does not allow is refused in PVE's format."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.fake_pve import FakePve, schema
from tests.unit.fake_pve.support import Client, refused

FORMAT = "invalid format - format error\n"


def test_schema_is_the_whole_api() -> None:
    assert len(schema.endpoints()) == 449


def test_refusal_has_the_shape_of_pve(pve: FakePve, client: Client) -> None:
    header = f"PVEAPIToken=root@pam!t0x={pve.access.tokens['root@pam!t0x'][1]}"
    answer = requests.post(
        f"{pve.url}/api2/json/nodes/pve1/qemu",
        data={"vmid": "99", "colour": "red"},
        headers={"Authorization": header},
        verify=client.api._backend.auth.verify_ssl,
        timeout=120,
    )
    assert (answer.status_code, answer.reason) == (400, "Parameter verification failed.")
    assert answer.json()["data"] is None
    assert answer.json()["errors"] == {
        "vmid": "value must have a minimum value of 100",
        "colour": schema.EXTRA,
    }
    assert not pve.vms


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"colour": "red"}, schema.EXTRA),
        ({"cores": "many"}, "type check ('integer') failed - got 'many'"),
        ({"cores": 0}, "value must have a minimum value of 1"),
        ({"onboot": "True"}, "type check ('boolean') failed - got 'True'"),
        ({"bios": "uefi"}, "value 'uefi' does not have a value in the enumeration 'seabios, ovmf'"),
        ({"name": "a_b"}, "invalid format - value does not look like a valid DNS name\n"),
        ({"net0": "bridge=vmbr0"}, f"{FORMAT}net0.model: {schema.MISSING}\n"),
        ({"net0": "virtio,bridge=vmbr0,vlan=3"}, f"{FORMAT}net0.vlan: {schema.EXTRA}\n"),
        ({"net32": "virtio"}, schema.EXTRA),
        ({"ide4": "none,media=cdrom"}, schema.EXTRA),
        ({"scsi0": "local-lvm:8,ssd=2"}, f"{FORMAT}scsi0.ssd: type check ('boolean')"
                                          " failed - got '2'\n"),
        ({"cpu": "host,sockets=2"}, f"{FORMAT}cpu.sockets: {schema.EXTRA}\n"),
        ({"hostpci0": "mapping=gpu,bus=1"}, f"{FORMAT}hostpci0.bus: {schema.EXTRA}\n"),
        ({"machine": "q36"}, f"{FORMAT}machine.type: value does not match the regex pattern\n"),
        ({"boot": "scsi0"}, f"{FORMAT}boot.legacy: value does not match the regex pattern\n"),
        ({"sshkeys": "ssh-rsa AAAA"}, "invalid format - invalid urlencoded string\n"),
        ({"tags": "a;b c;-d"}, "invalid format - invalid characters in tag\n"),
        ({"agent": "1,1"}, f"{FORMAT}duplicate key in comma-separated list property: enabled\n"),
    ],
)  # fmt: skip
def test_wrong_option_is_refused(client: Client, options: dict[str, Any], error: str) -> None:
    answer = refused(lambda: client.node.qemu.post(vmid=101, **options))
    assert answer == (400, "Parameter verification failed.", {next(iter(options)): error})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ipconfig0": "ip=10.0.0.2"}, "ip: invalid format - value does not look like"),
        ({"ipconfig0": "gw=10.0.0.1"}, "ip: missing property - 'gw' requires this property"),
        ({"cicustom": "user=/etc/a"}, "user: invalid format - unable to parse volume ID"),
        ({"net0": "virtio=AB:CD,bridge=vmbr0"}, "macaddr: invalid format - value does not look"),
    ],
)
def test_wrong_value_within_an_option(client: Client, options: dict[str, str], error: str) -> None:
    _, _, errors = refused(lambda: client.node.qemu.post(vmid=101, **options))
    assert error in errors[next(iter(options))]


def test_missing_parameters_are_named_at_once(client: Client) -> None:
    _, _, errors = refused(lambda: client.node.lxc.post(hostname="a"))
    assert errors == {"vmid": schema.MISSING, "ostemplate": schema.MISSING}


@pytest.mark.parametrize("method", ["get", "post"])
def test_unknown_path(client: Client, method: str) -> None:
    status, reason, _ = refused(getattr(client.node.qemus, method))
    assert (status, reason) == (
        501, f"Method '{method.upper()} /nodes/pve1/qemus' not implemented"
    )  # fmt: skip


def test_known_path_without_that_method(client: Client) -> None:
    reason = refused(client.api.cluster.nextid.post)[1]
    assert reason == "Method 'POST /cluster/nextid' not implemented"


def test_an_endpoint_that_the_fake_lacks_answers_501(client: Client) -> None:
    status, reason, _ = refused(client.node.qemu(101).snapshot.get)
    assert (status, reason.endswith("not in the fake")) == (501, True)


def test_all_formats_in_use_are_taken(client: Client) -> None:
    client.vm(
        101, name="a.example.org", memory=2048, cores=2, sockets=1, cpu="host,flags=+aes;-pcid",
        machine="q35,viommu=intel", bios="ovmf", efidisk0="local-lvm:1,efitype=4m",
        scsihw="virtio-scsi-single", scsi1="local-lvm:4,discard=on,iothread=1,ssd=1",
        ide2="none,media=cdrom", net1="virtio=BC:24:11:00:00:01,bridge=vmbr0,mtu=1,queues=2",
        agent="enabled=1,fstrim_cloned_disks=1", boot="order=scsi0;ide2;net0", vga="serial0",
        serial0="socket", rng0="source=/dev/urandom", startup="order=2,up=10", ostype="l26",
        ipconfig0="ip=dhcp,ip6=auto", nameserver="1.1.1.1 9.9.9.9", onboot=1, balloon=0,
        smbios1="uuid=11111111-2222-3333-4444-555555555555", tpmstate0="local-lvm:1,version=v2.0",
    )  # fmt: skip
