"""The verb `host prepare`, without any machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plexctl.model.kinds import HostKind
from plexctl.model.secret import Secret
from plexctl.results.hosts import HostResult, PreparedRow
from plexctl.workflow.host import incus as host_incus
from plexctl.workflow.host import prepare as host_prepare
from plexctl.workflow.host.request import HostRequest, LocalTarget, PreparedHost, SshTarget
from tests.fake_pve import FakePve
from tests.fake_pve.state import Storage

from .conftest import Plexctl
from .proxmox_host import TOKEN, entry


class Prepared:
    """The requests to `prepare`, and its answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[HostRequest] = []
        self.added: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {
            "url": "https://10.0.0.7:8443",
            "certificate": "ab" * 32,
            "token": Secret(b"sesame"),
            "token_id": None,
        }

        def prepare(root: Path, cache: Path, request: HostRequest, run: object) -> PreparedHost:
            self.asked.append(request)
            items = (
                PreparedRow("packages", True, ("Install Incus",)),
                PreparedRow("pool", False, ()),
            )
            return PreparedHost(request.name, items, ("a reboot is needed",), **self.answer)

        def add(ctx: object, name: str, url: str, **more: Any) -> HostResult:
            self.added.append({"name": name, "url": url, **more})
            return HostResult(name, True, f"host {name} is at {url}")

        monkeypatch.setattr(host_prepare, "apply_role", prepare)
        monkeypatch.setattr(host_incus, "add_incus", add)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> Prepared:
    return Prepared(monkeypatch)


def test_prepare_shows_what_it_will_do_and_asks(
    plexctl: Plexctl, lab: Path, prepared: Prepared
) -> None:
    ended = plexctl("host", "prepare", "far", "--ssh", "me@10.0.0.7", "--bridge", "br0")
    assert ended.code == 2
    assert (
        "plexctl will set up what is missing on 10.0.0.7: kernel settings and modules, packages, "
        "Incus over HTTPS, storage pool default, bridge br0, a token for this lab"
    ) in ended.err
    assert prepared.asked == []


def test_a_prepared_machine_is_a_host(plexctl: Plexctl, lab: Path, prepared: Prepared) -> None:
    words = ("--ssh", "me@10.0.0.7:2222", "--key", "/k", "--known-hosts", "/h", "--accept-new")
    more = ("--pool", "fast", "--driver", "btrfs", "--source", "/dev/sdb", "--size", "9GiB")
    last = ("--pci", "gpu=01:00.0", "--vfio", "10de:1b80", "--iommu", "--wireguard", "--vms")
    ended = plexctl("host", "prepare", "far", *words, *more, *last, "-y", "-q")

    assert ended.code == 0, ended
    assert ended.out.splitlines() == [
        "ITEM                 TASKS",
        "packages  changed    Install Incus",
        "pool      unchanged",
        "note: a reboot is needed",
        "",
        "host far is at https://10.0.0.7:8443",
    ]
    (request,) = prepared.asked
    assert request.reach == SshTarget(
        "10.0.0.7", "me", 2222, Path("/k"), Path("/h"), accept_new=True
    )
    assert request.pool
    assert (request.pool.name, request.pool.driver) == ("fast", "btrfs")
    assert (request.pool.source, request.pool.size) == ("/dev/sdb", "9GiB")
    assert (request.iommu, request.wireguard, request.virtual_machines) == (True, True, True)
    assert (request.vfio, request.pci) == (("10de:1b80",), {"gpu": "01:00.0"})
    assert str(request.client).startswith("plexctl-")
    (added,) = prepared.added
    assert added["token"] == Secret(b"sesame")
    assert (added["certificate"], added["ssh"]) == ("ab" * 32, "me@10.0.0.7:2222")
    assert (added["pool"], added["pci"]) == ("fast", {"gpu": "01:00.0"})


def test_the_token_is_not_printed(plexctl: Plexctl, lab: Path, prepared: Prepared) -> None:
    ended = plexctl("host", "prepare", "far", "--ssh", "me@10.0.0.7", "-y", "--json")
    answer = json.loads(ended.out)
    assert list(answer) == ["version", "name", "changed", "items", "notes", "url", "message"]
    assert list(answer["items"][0]) == ["name", "changed", "tasks"]
    assert "sesame" not in ended.out + ended.err


def test_a_trusted_lab_requests_no_token(
    plexctl: Plexctl, lab: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = "facts: {cgroup: 2, cpus: 8, memory: 8GiB}"
    file = lab / "clusters" / "hosts.yaml"
    there = "url: https://10.0.0.7:8443, pool: fast, ssh: me@10.0.0.7"
    entry = f"{there}, certificate: {'ab' * 32}, {facts}"
    file.write_text(f"{file.read_text()}  far: {{{entry}}}\n")
    monkeypatch.setattr(host_incus, "known", lambda *_: True)

    plexctl("host", "prepare", "far", "-y", "-q")
    plexctl("host", "prepare", "far", "-y", "-q", "--new-token")

    first, second = prepared.asked
    assert first.pool
    assert first.pool.name == "fast"
    assert isinstance(first.reach, SshTarget)
    assert first.client is None
    assert str(second.client).startswith("plexctl-")
    assert len(prepared.added) == 2


def test_this_machine_needs_no_token(plexctl: Plexctl, lab: Path, prepared: Prepared) -> None:
    prepared.answer |= {"token": None}
    ended = plexctl("host", "prepare", "local", "--no-pool", "-y", "-q")
    assert ended.code == 0, ended
    (request,) = prepared.asked
    assert (request.reach, request.client, request.pool) == (LocalTarget(), None, None)
    assert prepared.added == []
    assert entry(lab, "local") == {"kind": "incus", "socket": "/nowhere/unix.socket"}


def test_without_a_token_the_machine_is_not_added(
    plexctl: Plexctl, lab: Path, prepared: Prepared
) -> None:
    ended = plexctl("host", "prepare", "far", "--ssh", "me@10.0.0.7", "--no-token", "-y", "-q")
    assert "far is prepared; it was not added to the lab" in ended.out
    assert prepared.asked[0].client is None
    assert prepared.added == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("far", "--ssh", "10.0.0.7"), "'10.0.0.7' is not an SSH login"),
        (("far", "--ssh", "root@10.0.0.7;reboot"), "is not an SSH login"),
        (("far",), "this machine is already host local"),
        (("local", "--ssh", "root@10.0.0.7"), "the lab already has a host local: this machine"),
        (("local", "--kind", "proxmox"), "the lab already has a host local: this machine"),
        (("Far", "--ssh", "root@10.0.0.7"), "'Far' is not a valid name"),
        (("local", "--uplink", "eth1"), "--uplink and --bridge-address need --bridge"),
        (("local", "--pci", "01:00.0"), "--pci 01:00.0: must be NAME=ADDRESS"),
        (("local", "--pci", "gpu=x"), "not an address of a PCI device"),
        (("local", "--repository", "elsewhere"), "'elsewhere' is not one of"),
        (("local", "--kind", "proxmox", "--bridge", "br0"), "creates no bridge on a Proxmox host"),
    ],
)
def test_invalid_options(
    plexctl: Plexctl, lab: Path, prepared: Prepared, words: tuple[str, ...], said: str
) -> None:
    ended = plexctl("host", "prepare", *words, "-y", "-q")
    assert ended.code == 2
    assert said in ended.err
    assert prepared.asked == []


def test_a_prepared_proxmox_is_a_host(
    plexctl: Plexctl, lab: Path, pve: FakePve, secret: str, prepared: Prepared
) -> None:
    prepared.answer |= {
        "url": pve.url,
        "certificate": pve.fingerprint.replace(":", "").lower(),
        "token": Secret(secret.encode()),
        "token_id": TOKEN,
    }
    words = ("--ssh", "root@127.0.0.1", "--kind", "proxmox", "--disks", "local-lvm")
    ended = plexctl("host", "prepare", "pve1", *words, "--pci", "gpu=01:00.0", "-y", "-q")

    assert ended.code == 0, ended
    (request,) = prepared.asked
    assert request.kind is HostKind.PROXMOX
    assert str(request.client).startswith("lab-")
    written = entry(lab, "pve1")
    assert (written["pool"], written["ssh"]) == ("local-lvm", "root@127.0.0.1")
    assert written["proxmox"] == {"node": "pve1", "token": TOKEN, "iso": "local"}
    assert written["pci"] == {"gpu": "gpu"}
    assert secret not in ended.out + ended.err
    assert (lab / "clusters" / "hosts" / "pve1.token.age").stat().st_mode & 0o777 == 0o600

    # A second time the machine prints no token: the stored token stays valid.
    prepared.answer |= {"token": None}
    # Nor has a user: what kind it is and where its disks are is in hosts.yaml.
    again = plexctl("host", "prepare", "pve1", "-y", "-q")
    assert again.code == 0, again
    assert entry(lab, "pve1")["pool"] == "local-lvm"
    assert isinstance(prepared.asked[-1].reach, SshTarget)
    assert prepared.asked[-1].reach.address == "127.0.0.1"

    # A storage that nobody asks for stays; one that is asked for counts, whatever it is.
    pve.storages["files"] = Storage("files", "dir", pve.storages["local"].content)
    file = lab / "clusters" / "hosts.yaml"
    file.write_text(file.read_text().replace("iso: local", "iso: files"))
    assert plexctl("host", "prepare", "pve1", "-y", "-q").code == 0
    assert entry(lab, "pve1")["proxmox"]["iso"] == "files"
    assert plexctl("host", "prepare", "pve1", "--storage", "local", "-y", "-q").code == 0
    assert entry(lab, "pve1")["proxmox"]["iso"] == "local"
