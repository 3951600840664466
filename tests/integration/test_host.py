"""A machine is made a host of plexctl, and then is one: over SSH, on a real nested Incus."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from plexctl.errors import PlexError
from plexctl.workflow.host.request import (
    BridgeRequest,
    HostRequest,
    InstanceTarget,
    PoolRequest,
    PreparedHost,
    SshTarget,
)

from .machine import Machine
from .nested import base_image, changed, login, prepared_image, run

CLIENT = "plexctl-lifecycle"
SPARE = BridgeRequest("plexbr0", uplink="spare0", address="198.18.78.1/24")
CARD = "10de:1b80"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hosts")


@pytest.fixture(scope="module")
def fresh(work: Path) -> Iterator[Machine]:
    """Debian as it comes, with an SSH server."""
    machine = Machine(work, "plextest-fresh", IPv4Interface("198.18.77.21/24"))
    machine.create(base_image())
    yield machine
    machine.destroy()


@pytest.fixture(scope="module")
def request_(fresh: Machine) -> HostRequest:
    pool = PoolRequest(driver="btrfs", source="/var/lib/plextest/pool")
    return HostRequest(fresh.name, login(fresh), pool=pool, client=CLIENT)


@pytest.fixture(scope="module")
def first(fresh: Machine, request_: HostRequest) -> PreparedHost:
    return run(fresh, request_)


@pytest.fixture(scope="module")
def certificate(work: Path) -> Path:
    """A client's certificate with its key, in one file."""
    file, key = work / "client.pem", work / "client.key"
    words = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    files = ("-nodes", "-subj", "/CN=client", "-days", "2", "-out", file, "-keyout", key)
    subprocess.run([*words, *files], check=True, capture_output=True, timeout=30)
    file.write_text(file.read_text() + key.read_text())
    return file


def ask(
    url: str, fingerprint: str, certificate: Path, method: str, path: str, body: Any = None
) -> Any:
    """A call to the server that has just this certificate."""
    address = urlsplit(url)
    assert address.hostname
    assert address.port
    pem = ssl.get_server_certificate((address.hostname, address.port), timeout=10)
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == fingerprint
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False
    context.load_cert_chain(certificate)
    calls = http.client.HTTPSConnection(address.hostname, address.port, timeout=10, context=context)
    calls.request(method, path, json.dumps(body) if body else None)
    return json.loads(calls.getresponse().read())


def test_a_machine_becomes_a_host(
    fresh: Machine, request_: HostRequest, first: PreparedHost, certificate: Path, work: Path
) -> None:
    assert {"repository", "packages", "https", "pool", "token"} <= changed(first)
    assert first.url == f"https://{fresh.address.ip}:8443"
    assert first.token
    token = first.token.reveal_text()

    assert first.certificate
    server = (first.url, first.certificate, certificate)
    assert ask(*server, "GET", "/1.0")["metadata"]["auth"] == "untrusted"
    done = ask(*server, "POST", "/1.0/certificates", {"type": "client", "trust_token": token})
    assert done["status_code"] == 200, done
    assert ask(*server, "GET", "/1.0")["metadata"]["auth"] == "trusted"
    pools = ask(*server, "GET", "/1.0/storage-pools?recursion=1")["metadata"]
    assert [(pool["name"], pool["driver"]) for pool in pools] == [("default", "btrfs")]

    # The log, and whatever else is left, has nothing of the token.
    left = [path for path in (fresh.work / "cache").rglob("*") if path.is_file()]
    assert left
    assert not [path for path in left if token in path.read_text(errors="replace")]

    # A second time, as who has not logged in there before.
    assert isinstance(request_.reach, SshTarget)
    seen = work / "first-seen"
    reach = replace(request_.reach, known_hosts=seen, accept_new=True)
    again = run(fresh, replace(request_, reach=reach))
    assert "ssh-ed25519" in seen.read_text()
    assert changed(again) == set()
    assert {item.name for item in again.items} >= {"packages", "daemon", "https", "pool", "token"}
    assert again.certificate == first.certificate
    assert again.token is None  # that client is trusted now


def test_it_runs_a_node(fresh: Machine, first: PreparedHost, work: Path) -> None:
    """A privileged container inside, from an image that was baked outside."""
    archive = work / "image"
    words = ("incus", "image", "export", base_image(), str(archive))
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    parts = sorted(work.glob("image*"))
    for part in parts:
        target = f"{fresh.name}/root/{part.name}"
        subprocess.run(("incus", "file", "push", part, target), check=True, timeout=300)
    inside = [f"/root/{part.name}" for part in parts]
    fresh.run("incus", "image", "import", *inside, "--alias", "base", timeout=300)
    config = ("-c", "security.privileged=true", "-c", "security.nesting=true")
    version = "cgroup" if fresh.incus.facts().cgroup == 1 else "cgroup2"
    raw = (
        "raw.lxc=lxc.apparmor.profile=unconfined\n"
        "lxc.mount.auto=proc:rw sys:rw cgroup:rw:force\n"
        f"lxc.{version}.devices.allow=a\nlxc.cap.drop="
    )
    storage = ("--storage", "default", "--no-profiles")
    fresh.run("incus", "launch", "base", "inner", *storage, *config, "-c", raw, timeout=120)
    said = fresh.run("incus", "exec", "inner", "--", "cat", "/proc/1/comm")
    assert said.strip() == "systemd"
    fresh.run("incus", "delete", "--force", "inner")


def test_a_pool_of_another_driver_is_refused(
    fresh: Machine, request_: HostRequest, first: PreparedHost
) -> None:
    other = replace(request_, pool=PoolRequest(driver="dir"))
    with pytest.raises(PlexError, match="another driver") as raised:
        run(fresh, other)
    assert any("driver btrfs, not dir" in line for line in raised.value.details)


def test_an_unknown_host_key_is_refused(fresh: Machine, request_: HostRequest, work: Path) -> None:
    assert isinstance(request_.reach, SshTarget)
    none = work / "no-known-hosts"
    none.write_text("")
    stranger = replace(request_, reach=replace(request_.reach, known_hosts=none))
    with pytest.raises(PlexError, match="cannot be reached") as raised:
        run(fresh, stranger)
    assert "Host key verification failed" in " ".join(raised.value.details)
    assert "known_hosts" in (raised.value.hint or "")
    assert none.read_text() == ""


def test_a_bridge_is_made_where_that_is_safe(
    fresh: Machine, request_: HostRequest, first: PreparedHost
) -> None:
    def asked(bridge: BridgeRequest) -> HostRequest:
        return replace(request_, bridge=bridge)

    with pytest.raises(PlexError) as raised:
        run(fresh, asked(BridgeRequest("plexbr0")))
    assert "neither by netplan" in " ".join(raised.value.details)

    fresh.run("apt-get", "-q", "-y", "install", "ifupdown", timeout=120)
    with pytest.raises(PlexError) as raised:
        run(fresh, asked(BridgeRequest("plexbr0", uplink="eth0")))
    assert "eth0 has the address 198.18.77.21/24" in " ".join(raised.value.details)

    fresh.run("ip", "link", "add", "spare0", "type", "veth", "peer", "name", "spare1")
    assert changed(run(fresh, asked(SPARE))) == {"bridge"}
    assert "198.18.78.1/24" in fresh.run("ip", "address", "show", "dev", "plexbr0")
    assert "master plexbr0" in fresh.run("ip", "link", "show", "dev", "spare0")


def test_the_iommu_waits_for_a_reboot(
    fresh: Machine, request_: HostRequest, first: PreparedHost
) -> None:
    wanted = replace(request_, iommu=True, vfio=(CARD,))
    with pytest.raises(PlexError) as raised:
        run(fresh, wanted)
    assert "boots neither with GRUB" in " ".join(raised.value.details)

    # What GRUB's own program does with its settings, as far as it matters here.
    grub = "#!/bin/sh\nmkdir -p /boot/grub; . /etc/default/grub.d/plexctl.cfg\n"
    grub += 'echo "linux /vmlinuz $GRUB_CMDLINE_LINUX" >/boot/grub/grub.cfg\n'
    fresh.incus.instances.push(fresh.name, "/usr/sbin/update-grub", grub.encode(), mode=0o755)
    fresh.incus.instances.push(fresh.name, "/usr/sbin/update-initramfs", b"#!/bin/sh\n", mode=0o755)
    fresh.incus.instances.push(fresh.name, "/etc/default/grub", b"", mode=0o644)
    result = run(fresh, wanted)
    assert changed(result) == {"iommu"}
    assert any(note.startswith("a reboot is needed") for note in result.notes)
    assert "_iommu=on iommu=pt" in fresh.run("cat", "/boot/grub/grub.cfg")
    assert f"ids={CARD}" in fresh.run("cat", "/etc/modprobe.d/plexctl-vfio.conf")


def test_all_that_was_asked_for_stays(fresh: Machine, request_: HostRequest) -> None:
    """The bridge and the IOMMU of the tests before."""
    again = run(fresh, replace(request_, bridge=SPARE, iommu=True, vfio=(CARD,)))
    assert {item.name for item in again.items} >= {"bridge", "iommu"}
    assert changed(again) == set()
    assert any(note.startswith("a reboot is needed") for note in again.notes)


def test_incus_is_started_where_there_is_no_systemd(work: Path) -> None:
    machine = Machine(work, "plextest-bare", IPv4Interface("198.18.77.22/24"))
    try:
        machine.create(prepared_image(work), init="/bin/sleep infinity")
        machine.run("/usr/local/lib/plexctl/boot")
        request = HostRequest(
            machine.name, InstanceTarget(machine.name), pool=PoolRequest(driver="dir")
        )
        result = run(machine, request)
        assert {"daemon", "pool"} <= changed(result)
        assert any("no systemd" in note for note in result.notes)
        assert changed(run(machine, request)) == set()
    finally:
        machine.destroy()
