"""The verb `host prepare` as a whole: a machine is prepared, and then is a host of the lab."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from plexctl.clients.incus.trust import known
from plexctl.config.edit_hosts import set_host
from plexctl.errors import PlexError, UsageError
from plexctl.model.kinds import HostKind
from plexctl.results.hosts import HostPreparedResult, HostResult
from plexctl.workflow.core.clients import credentials
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.host.prepare import PrepareResult, prepare
from plexctl.workflow.host.proxmox import add_proxmox
from plexctl.workflow.host.request import HostRequest, LocalTarget, Reach, SshTarget, check
from plexctl.workflow.host.verbs import add_host, check_words, hosts_file, taken

LOGIN = re.compile(
    r"(?P<user>[a-z_][-a-z0-9_]*)@(?P<address>[A-Za-z0-9][-A-Za-z0-9.]*)(:(?P<port>\d{1,5}))?"
)


def reach(
    ctx: Context,
    name: str,
    login: str | None,
    *,
    key: Path | None = None,
    known_hosts: Path | None = None,
    accept_new: bool = False,
) -> Reach:
    """How a machine is reached: as is said, as hosts.yaml says, or it is this one.

    UsageError if it is another machine, and nobody says how to log in.
    """
    there = ctx.lab.hosts.get(name)
    login = login or (there.ssh if there else None)
    if login is not None:
        found = LOGIN.fullmatch(login)
        if found is None:
            raise UsageError(f"'{login}' is no login", hint="as in root@10.0.0.7, or …:2222")
        port = int(found["port"]) if found["port"] else None
        return SshTarget(found["address"], found["user"], port, key, known_hosts, accept_new)
    if there and not there.local:
        raise UsageError(f"how does one log in to {name}?", hint="--ssh root@10.0.0.7")
    here = [h.name for h in ctx.lab.hosts.values() if h.local and h.name != name]
    if there is None and here:
        raise UsageError(
            f"this machine is host {here[0]} already", hint="another one: --ssh root@10.0.0.7"
        )
    return LocalTarget()


def intention(request: HostRequest) -> str:
    """What is going to be done to which machine, as a sentence to agree to."""
    where = f"{request.reach.address}" if isinstance(request.reach, SshTarget) else "this machine"
    things = ["kernel settings and modules", "packages"]
    if request.kind is HostKind.PROXMOX:
        things += [f"user {request.proxmox.user} with role {request.proxmox.role}", "storages"]
    else:
        things.append("Incus over HTTPS")
        things += [f"storage pool {request.pool.name}"] if request.pool else []
    things += [f"bridge {request.bridge.name}"] if request.bridge else []
    things += ["the kernel's command line"] if request.iommu or request.vfio else []
    things += ["PCI mappings"] if request.pci and request.kind is HostKind.PROXMOX else []
    things += ["a token for this lab"] if request.client else []
    return f"{where} will have, where it is missing: {', '.join(things)}"


def prepare_host(
    ctx: Context, request: HostRequest, *, node: str | None = None
) -> HostPreparedResult:
    """Prepare a machine; one that gives out a token, or knows the lab, is a host of it then.

    `node` is the name of a Proxmox node in its cluster. A second time nothing is left to do.
    """
    check(request)
    check_words(request.name)
    there = ctx.lab.hosts.get(request.name)
    if there and there.kind != request.kind:
        raise taken(there)
    if there and there.local and isinstance(request.reach, SshTarget):
        raise taken(there)
    joins = request.client is not None
    if joins and not request.new_token and _trusts(ctx, request):
        request = replace(request, client=None)  # a token would lie about there, unused
    with start(ctx.lab.state, "prepare", WHOLE_LAB, ctx.listener) as run:
        done = prepare(ctx.lab.root, ctx.cache, request, run)
    added = _added(ctx, request, done, node, joins=joins)
    return HostPreparedResult(
        request.name,
        done.changed or added.changed,
        done.items,
        done.notes,
        done.url,
        added.message,
    )


def _trusts(ctx: Context, request: HostRequest) -> bool:
    """Whether the host is one of the lab already, and lets it in."""
    there = ctx.lab.hosts.get(request.name)
    if there is None or request.kind is HostKind.PROXMOX or not (there.url and there.certificate):
        return False
    try:
        return known(there.url, there.certificate, credentials(ctx.lab, ctx.seed))
    except PlexError:
        return False


def client_name(ctx: Context, kind: HostKind) -> str:
    """What the lab is called on a host, by its certificate or its token."""
    return f"{'plexctl' if kind is HostKind.INCUS else 'lab'}-{ctx.seed.lab_id}"


def _added(
    ctx: Context, request: HostRequest, done: PrepareResult, node: str | None, *, joins: bool
) -> HostResult:
    name, bridge = request.name, request.bridge.name if request.bridge else None
    if isinstance(request.reach, LocalTarget) and request.kind is HostKind.INCUS:
        fields: dict[str, object] = {"kind": str(request.kind)}
        fields |= {"pool": request.pool.name} if request.pool else {}
        fields |= {"bridge": bridge} if bridge else {}
        fields |= {"pci": dict(request.pci)} if request.pci else {}
        changed = set_host(hosts_file(ctx), name, fields)
        return HostResult(name, changed, f"host {name} is this machine")
    if not joins:
        return HostResult(name, False, f"{name} is prepared; it was not added to the lab")
    if done.url is None or done.certificate is None:
        raise PlexError(f"{name} does not say where its API answers", details=done.notes)
    ssh = login(request.reach)
    if request.kind is HostKind.PROXMOX:
        assert done.token_id is not None
        return add_proxmox(
            ctx,
            name,
            done.url,
            token_id=done.token_id,
            secret=done.token,
            certificate=done.certificate,
            node=node,
            pool=request.proxmox.disks or request.proxmox.storage,
            iso=request.proxmox.storage,
            ssh=ssh,
            pci={device: device for device in request.pci},  # a mapping has the name itself
        )
    return add_host(
        ctx,
        name,
        done.url,
        token=done.token,
        certificate=done.certificate,
        pool=request.pool.name if request.pool else None,
        ssh=ssh,
        bridge=bridge,
        pci=request.pci,
    )


def login(how: Reach) -> str | None:
    """As hosts.yaml has it: "root@10.0.0.7:2222"."""
    if not isinstance(how, SshTarget):
        return None
    return f"{how.user}@{how.address}" + (f":{how.port}" if how.port else "")
