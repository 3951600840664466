"""The verb `host prepare`: makes a machine a host of plexctl. Ansible does it: `roles/host`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plexctl.clients import ansible
from plexctl.config.builtin import overlay
from plexctl.model.events import Outcome, Reporter
from plexctl.model.limits import SYSCTLS
from plexctl.model.secret import Secret
from plexctl.results.hosts import PreparedRow
from plexctl.workflow.host.request import (
    HostRequest,
    InstanceTarget,
    LocalTarget,
    Reach,
    SshTarget,
    check,
)

ROLE = "host"

_NOT_ITEMS = {"incus", "proxmox", "look", "answers"}
"""Task files of the role that are no item of the report."""

_ITEMS = {
    "zabbly": "repository",
    **dict.fromkeys(("ifupdown", "netplan", "networkd"), "bridge"),
    "apitoken": "token",
}
"""Task files that are part of another item."""


@dataclass(frozen=True, slots=True)
class PrepareResult:
    host: str
    items: tuple[PreparedRow, ...]
    notes: tuple[str, ...]  # what a user should know: "a reboot is needed: …"
    url: str | None  # "https://10.0.0.7:8443"
    certificate: str | None  # SHA-256 of the server's certificate, hex
    token: Secret | None  # None also where the client is trusted already
    token_id: str | None  # of a Proxmox token: "plexctl@pve!lab"

    @property
    def changed(self) -> bool:
        return any(item.changed for item in self.items)


def prepare(root: Path, cache: Path, request: HostRequest, run: Reporter) -> PrepareResult:
    """Make a machine a host. A second time nothing is left to change, and that is what it says.

    `root` is the lab, which may have a role `host` of its own; `cache` the user's folder for logs.
    The machine is never rebooted. UsageError for what cannot be asked for, PlexError with what the
    machine said.
    """
    check(request)
    cache.mkdir(parents=True, exist_ok=True)
    tasks = request.kind.value
    with (
        tempfile.TemporaryDirectory(prefix="prepare-", dir=cache) as folder,  # mode 0700
        run.step(f"prepare host {request.name}", expect="about a minute") as step,
    ):
        token = Path(folder) / "token"
        applied = ansible.apply(
            ansible.Play(
                overlay(root, "roles", ROLE),
                tasks,
                {request.name: connection(request.reach)},
                variables(request, token),
            ),
            work=Path(folder),
            log=cache / f"prepare-{request.name}.log",
            on_task=step.progress,
        )
        result = _result(request, applied, token)
        if not result.changed:
            step.end(Outcome.UNCHANGED)
    return result


def connection(reach: Reach) -> ansible.Variables:
    match reach:
        case LocalTarget():
            return ansible.local()
        case InstanceTarget(name):
            return ansible.incus(name)
        case SshTarget():
            return ansible.ssh(
                reach.address,
                user=reach.user,
                key=reach.key,
                port=reach.port,
                known_hosts=reach.known_hosts,
                accept_new=reach.accept_new,
            )


def variables(request: HostRequest, token: Path) -> dict[str, object]:
    """What the role is told; `token` is the file that it may write a token to."""
    modules = ["overlay", "vxlan", "nf_tables"]
    bridge, pool, proxmox = request.bridge, request.pool, request.proxmox
    return {
        "host_name": request.name,
        "host_sysctls": SYSCTLS,
        "host_modules": [*modules, "wireguard"] if request.wireguard else modules,
        "host_optional_modules": [] if request.wireguard else ["wireguard"],
        "host_repository": request.repository.value,
        "host_virtual_machines": request.virtual_machines,
        "host_https": request.https,
        "host_pool": {
            "name": pool.name,
            "driver": pool.driver,
            "source": pool.source,
            "size": pool.size,
        }
        if pool
        else {},
        "host_bridge": {"name": bridge.name, "uplink": bridge.uplink, "address": bridge.address}
        if bridge
        else {},
        "host_iommu": request.iommu or bool(request.vfio),
        "host_vfio": [device.lower() for device in request.vfio],
        "host_token": request.client or "",
        "host_new_token": request.new_token,
        "host_token_file": str(token),
        "host_proxmox_user": proxmox.user,
        "host_proxmox_role": proxmox.role,
        "host_proxmox_storage": proxmox.storage,
        "host_proxmox_disks": proxmox.disks or proxmox.storage,
        "host_proxmox_mappings": [
            {"name": name, "path": full_address(device)} for name, device in request.pci.items()
        ],
    }


def full_address(device: str) -> str:
    """A PCI address with its domain: "01:00.0" -> "0000:01:00.0"."""
    return device.lower() if device.count(":") == 2 else f"0000:{device.lower()}"


def _result(request: HostRequest, applied: ansible.Applied, token: Path) -> PrepareResult:
    answers = applied.answers
    certificate = str(answers.get("host_certificate", "")).replace(":", "").lower()
    return PrepareResult(
        request.name,
        tuple(items(applied.tasks)),
        tuple(str(note) for note in answers.get("host_notes", ())),
        url(request, answers),
        certificate or None,
        Secret(token.read_bytes().strip()) if token.exists() else None,
        answers.get("host_token_id"),
    )


def items(tasks: Iterable[ansible.PlayTask]) -> Iterable[PreparedRow]:
    """One for each task file of the role, in their order."""
    parts: dict[str, list[str]] = {}
    for task in tasks:
        if task.part not in _NOT_ITEMS:
            changed = parts.setdefault(_ITEMS.get(task.part, task.part), [])
            if task.changed:
                changed.append(task.name)
    for name, changed in parts.items():
        yield PreparedRow(name, bool(changed), tuple(changed))


def url(request: HostRequest, answers: Mapping[str, Any]) -> str | None:
    """Where its API answers: as it was reached, where that is an address of it, or as it says."""
    said = [str(one) for one in answers.get("host_addresses", ())]
    if not said:
        return None
    port = said[0].rpartition(":")[2]
    if isinstance(request.reach, SshTarget):
        reached = request.reach.address
        reached = f"[{reached}]" if ":" in reached else reached
        # Where it listens on one address only, no other will do.
        if not request.https or request.https.startswith((":", "0.0.0.0:", "[::]:")):
            return f"https://{reached}:{port}"
    return f"https://{said[0]}"
