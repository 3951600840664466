"""The verb `host prepare`: sets up a machine with the role `host`, and adds it to the lab."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from plexctl.clients import ansible
from plexctl.clients.private_folder import private_folder
from plexctl.config.builtin import overlay
from plexctl.errors import UsageError
from plexctl.model.events import Outcome, Reporter
from plexctl.model.limits import SYSCTLS
from plexctl.model.secret import Secret
from plexctl.results.hosts import HostPreparedResult, HostResult, PreparedRow
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.host.declaration import check_values, name_taken
from plexctl.workflow.host.onboarding import onboarding
from plexctl.workflow.host.request import (
    HostRequest,
    InstanceTarget,
    LocalTarget,
    PreparedHost,
    Reach,
    SshTarget,
    check,
)
from plexctl.workflow.trust.gate import require_trust
from plexctl.workflow.trust.parts import PartKind

ROLE = "host"

_NOT_ITEMS = {"incus", "proxmox", "look", "answers"}
"""Task files of the role that are not an item of the result."""

_ITEMS = {
    "zabbly": "repository",
    **dict.fromkeys(("ifupdown", "netplan", "networkd"), "bridge"),
    "apitoken": "token",
}
"""Task files that are part of another item."""

LOGIN = re.compile(
    r"(?P<user>[a-z_][-a-z0-9_]*)@(?P<address>[A-Za-z0-9][-A-Za-z0-9.]*)(:(?P<port>[0-9]{1,5}))?"
)


def prepare_host(
    ctx: Context, request: HostRequest, *, node: str | None = None
) -> HostPreparedResult:
    """Set up a machine; if it accepts the lab then, add it to the lab's hosts.

    `node` is the name of a Proxmox node in its cluster. A second run changes nothing.
    """
    kind = onboarding(request.kind)
    check(request)
    kind.check(request)
    check_values(request.name)
    there = ctx.lab.hosts.get(request.name)
    if there and there.kind != request.kind:
        raise name_taken(there)
    if there and there.local and isinstance(request.reach, SshTarget):
        raise name_taken(there)
    asked = request
    if request.client and not request.new_token and kind.trusts(ctx, request):
        asked = replace(request, client=None)  # a token would stay there, unused
    require_trust(ctx, PartKind.ROLE)
    with start(ctx.lab.state, "prepare", WHOLE_LAB, ctx.listener) as run:
        done = apply_role(ctx.lab.root, ctx.cache, asked, run)
    if kind.joins(request):
        joined = kind.join(ctx, request, done, node)
    else:
        text = f"{request.name} is prepared; it was not added to the lab"
        joined = HostResult(request.name, False, text)
    changed = done.changed or joined.changed
    return HostPreparedResult(
        request.name, changed, done.items, done.notes, done.url, joined.message
    )


def intention(request: HostRequest) -> str:
    """The changes and the machine, as a clause for the question to the user."""
    where = f"{request.reach.address}" if isinstance(request.reach, SshTarget) else "this machine"
    things = ["kernel settings and modules", "packages", *onboarding(request.kind).changes(request)]
    things += [f"bridge {request.bridge.name}"] if request.bridge else []
    things += ["the kernel's command line"] if request.iommu or request.vfio else []
    things += ["a token for this lab"] if request.client else []
    return f"plexctl will set up what is missing on {where}: {', '.join(things)}"


def reach(
    ctx: Context,
    name: str,
    login: str | None,
    *,
    key: Path | None = None,
    known_hosts: Path | None = None,
    accept_new: bool = False,
) -> Reach:
    """The SSH login of the machine: `login`, else `ssh` in hosts.yaml, else this machine.

    UsageError for another machine without a login.
    """
    there = ctx.lab.hosts.get(name)
    login = login or (there.ssh if there else None)
    if login is not None:
        found = LOGIN.fullmatch(login)
        if found is None:
            raise UsageError(
                f"'{login}' is not an SSH login", hint="for example root@10.0.0.7:2222"
            )
        port = int(found["port"]) if found["port"] else None
        return SshTarget(found["address"], found["user"], port, key, known_hosts, accept_new)
    if there and not there.local:
        raise UsageError(f"host {name} has no SSH login", hint="add --ssh root@10.0.0.7")
    here = [h.name for h in ctx.lab.hosts.values() if h.local and h.name != name]
    if there is None and here:
        raise UsageError(
            f"this machine is already host {here[0]}",
            hint="to prepare another machine: --ssh root@10.0.0.7",
        )
    return LocalTarget()


def apply_role(root: Path, cache: Path, request: HostRequest, run: Reporter) -> PreparedHost:
    """Apply the role `host` to a machine. A second run changes nothing.

    `root` is the lab, which may have a role `host` of its own; `cache` the user's folder for logs.
    The machine is never rebooted. PlexError with the output of the task that failed.
    """
    cache.mkdir(parents=True, exist_ok=True)
    tasks = request.kind.value
    with (
        private_folder("prepare", cache) as folder,
        run.step(f"prepare host {request.name}", expect="about a minute") as step,
    ):
        token = folder / "token"
        applied = ansible.apply(
            ansible.Play(
                overlay(root, "roles", ROLE),
                tasks,
                {request.name: connection(request.reach)},
                variables(request, token),
            ),
            work=folder,
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
    """The variables of the role; `token` is the file that it may write a token to."""
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


def _result(request: HostRequest, applied: ansible.Applied, token: Path) -> PreparedHost:
    answers = applied.answers
    certificate = str(answers.get("host_certificate", "")).replace(":", "").lower()
    return PreparedHost(
        request.name,
        tuple(items(applied.tasks)),
        tuple(str(note) for note in answers.get("host_notes", ())),
        url(request, answers),
        certificate or None,
        Secret(token.read_bytes().strip()) if token.exists() else None,
        answers.get("host_token_id"),
    )


def items(tasks: Iterable[ansible.PlayTask]) -> Iterable[PreparedRow]:
    """The changes by task file of the role, in order."""
    parts: dict[str, list[str]] = {}
    for task in tasks:
        if task.part not in _NOT_ITEMS:
            changed = parts.setdefault(_ITEMS.get(task.part, task.part), [])
            if task.changed:
                changed.append(task.name)
    for name, changed in parts.items():
        yield PreparedRow(name, bool(changed), tuple(changed))


def url(request: HostRequest, answers: Mapping[str, Any]) -> str | None:
    """The URL of its API: at the address of the SSH login, or as the machine reports it."""
    said = [str(one) for one in answers.get("host_addresses", ())]
    if not said:
        return None
    port = said[0].rpartition(":")[2]
    if isinstance(request.reach, SshTarget):
        reached = request.reach.address
        reached = f"[{reached}]" if ":" in reached else reached
        # If it listens on one address only, use that one.
        if not request.https or request.https.startswith((":", "0.0.0.0:", "[::]:")):
            return f"https://{reached}:{port}"
    return f"https://{said[0]}"
