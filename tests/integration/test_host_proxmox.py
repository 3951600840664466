"""The role `host` on a machine that has what a node of Proxmox VE answers with."""

from __future__ import annotations

import hashlib
import json
import ssl
import subprocess
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

from plexctl.model.kinds import HostKind
from plexctl.workflow.host.request import HostRequest, ProxmoxRequest

from .machine import Machine
from .nested import changed, login, prepared_image, run

FAKE = Path(__file__).with_name("fake_pve_tools.py")


def test_a_proxmox_node_gets_the_settings_of_a_host(tmp_path: Path) -> None:
    """Not a real one: what its programs are called with, and that they are called once."""
    enterprise = "Types: deb\nURIs: https://enterprise.proxmox.com/debian/pve\nSuites: trixie\n"
    work, certificate = tmp_path, tmp_path / "pve.pem"
    words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=pve")
    files = ("-out", certificate, "-keyout", work / "pve.key")
    subprocess.run([*words, *files], check=True, capture_output=True, timeout=30)
    machine = Machine(
        work,
        "plextest-pve",
        IPv4Interface("198.18.77.23/24"),
        files={
            "/etc/apt/sources.list.d/pve-enterprise.sources": enterprise,
            "/etc/pve/local/pve-ssl.pem": certificate.read_text(),
        },
    )
    fakes = ("pveum", "pvesh", "pvesm", "pvesubscription", "pveversion")
    device = "/sys/bus/pci/devices"
    try:
        machine.create(prepared_image(work))
        for name in fakes:
            machine.incus.instances.push(
                machine.name, f"/usr/local/bin/{name}", FAKE.read_bytes(), mode=0o755
            )
        found = machine.run("sh", "-c", f"ls {device} 2>/dev/null || true").split()
        request = HostRequest(
            "pve",
            login(machine),
            HostKind.PROXMOX,
            pci={"card": found[0]} if found else {},
            client="lifecycle",
            proxmox=ProxmoxRequest(disks="fast"),
        )
        result = run(machine, request)
        state = json.loads(machine.run("cat", "/root/pve.json"))
        again = run(machine, request)
        renewed = run(machine, replace(request, new_token=True))
        calls = machine.run("cat", "/root/pve.calls").splitlines()
        sources = machine.run(
            "sh", "-c", "cat /etc/apt/sources.list.d/pve-enterprise.sources; "
            "cat /etc/apt/sources.list.d/plexctl-pve.sources"
        )  # fmt: skip
    finally:
        machine.destroy()

    assert {"subscription", "user", "storage", "token"} <= changed(result)
    assert sources.startswith("Enabled: no\nTypes: deb\nURIs: https://enterprise")
    assert "Suites: trixie\nComponents: pve-no-subscription" in sources
    assert state["users"] == ["root@pam", "plexctl@pve"]
    rights = state["roles"]["Plexctl"].split(",")
    assert "VM.Clone" in rights
    assert "VM.GuestAgent.Audit" in rights
    assert "VM.Monitor" not in rights
    assert not [right for right in rights if "Modify" in right or "Permissions" in right]
    places = ["/vms", "/nodes", "/mapping", "/sdn/zones", "/storage/local", "/storage/fast"]
    assert [one["path"] for one in state["acl"]] == places
    assert state["storage"] == {
        "local": "iso,vztmpl,backup,snippets,import",
        "fast": "images,rootdir",
    }
    assert result.token
    assert result.token.reveal_text() == state["tokens"]["lifecycle"]
    assert result.token_id == "plexctl@pve!lifecycle"
    assert result.url == "https://198.18.77.23:8006"
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    assert result.certificate == hashlib.sha256(der).hexdigest()
    if found:
        mapped = state["pci"]["card"]
        assert len(mapped) == 1
        assert f",path={found[0]},id=" in mapped[0]

    assert changed(again) == set()
    assert again.token is None
    assert any("does not print its secret again" in note for note in again.notes)
    assert changed(renewed) == {"token"}
    assert renewed.token
    assert renewed.token.reveal() != result.token.reveal()
    assert not [call for call in calls if "secret-" in call]
