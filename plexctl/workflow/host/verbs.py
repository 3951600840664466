"""The verbs on hosts: which there are, and other machines added to a lab."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from plexctl.bake.place import baking_host
from plexctl.bake.probe import probe_remote
from plexctl.clients.hosts import incus_hosts
from plexctl.clients.incus.host import IncusHost
from plexctl.clients.incus.trust import introduce, known, read_token, shown_fingerprint
from plexctl.config import values
from plexctl.config.edit_hosts import host_fields, remove_host, set_host
from plexctl.config.faults import Fault
from plexctl.errors import PlexError, UsageError
from plexctl.model.hosts import HostFacts, HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.secret import Secret
from plexctl.plan.recipes import layers
from plexctl.results.hosts import HostResult, HostRow, HostsResult
from plexctl.workflow.core.clients import credentials
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, Run, start
from plexctl.workflow.host.tokens import token_file
from plexctl.workflow.images.ensure import bake_types
from plexctl.workflow.images.recipes import known_recipe

PORTS = {HostKind.INCUS: 8443, HostKind.PROXMOX: 8006}


def list_hosts(ctx: Context) -> HostsResult:
    """Ask all hosts at once; one that does not answer is told, and is no error."""
    with ThreadPoolExecutor(max_workers=len(ctx.hosts)) as pool:
        return HostsResult(tuple(pool.map(lambda name: _row(ctx, name), ctx.hosts)))


def _row(ctx: Context, name: str) -> HostRow:
    client = ctx.hosts[name]
    host = client.spec
    unreachable = instances = None
    cpus = memory = 0
    try:
        facts = client.facts()
        cpus, memory = facts.cpus, facts.memory
        instances = _instances(ctx, name)
    except PlexError as error:
        unreachable = ": ".join((error.summary, *error.details))
    endpoint = host.url or host.socket
    return HostRow(name, str(host.kind), endpoint, unreachable, instances, cpus, memory)


def _instances(ctx: Context, name: str) -> int:
    """How many of the lab's are on a host."""
    seen = ctx.hosts[name].read().instances.values()
    return sum(1 for one in seen if one.tags.get("lab") == ctx.seed.lab_id)


def fingerprint_of(url: str, kind: HostKind = HostKind.INCUS) -> tuple[str, str]:
    """(URL in full, SHA-256 of the certificate that is shown there)."""
    whole = full_url(url, kind)
    return whole, shown_fingerprint(whole)


def pinned(ctx: Context, name: str, url: str, certificate: str) -> bool:
    """Whether the lab trusts this certificate of the host already."""
    there = ctx.lab.hosts.get(name)
    return there is not None and (there.url, there.certificate) == (url, certificate)


def full_url(url: str, kind: HostKind = HostKind.INCUS) -> str:
    """ "10.0.0.7" -> "https://10.0.0.7:8443". UsageError if it cannot be one."""
    refusal = UsageError(
        f"'{url}' is not the URL of a host", hint=f"as in https://10.0.0.7:{PORTS[kind]}"
    )
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host, port = parts.hostname, parts.port or PORTS[kind]
    except ValueError:
        raise refusal from None
    if parts.scheme != "https" or not host or parts.username or parts.path not in ("", "/"):
        raise refusal
    return urlunsplit(
        ("https", f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "", "", "")
    )


def check_words(name: str, bridge: str | None = None, token_id: str | None = None) -> None:
    """UsageError for what hosts.yaml could not say."""
    for kind, word in (
        (values.NAME, name),
        (values.INTERFACE, bridge),
        (values.PROXMOX_TOKEN, token_id),
    ):
        try:
            if word is not None:
                kind.parse(word)
        except Fault as fault:
            raise UsageError(str(fault), hint=fault.hint) from fault


def check_twin(ctx: Context, host: HostSpec) -> None:
    """UsageError if the lab knows this server by another name, or another server by this one."""
    if there := ctx.lab.hosts.get(host.name):
        # A server that was made anew has another certificate, one that has moved another URL.
        other = there.url != host.url and there.certificate != host.certificate
        if there.kind != host.kind or _node(there) != _node(host) or there.local or other:
            raise taken(there)
    for one in ctx.lab.hosts.values():
        if one.name != host.name and (one.url, _node(one)) == (host.url, _node(host)):
            raise UsageError(f"{host.url} is host {one.name} already")


def taken(host: HostSpec) -> UsageError:
    """For who gives another machine the name of this host."""
    removed = "" if host.local else f", or `plexctl host remove {host.name}` first"
    return UsageError(
        f"host {host.name} is {_place(host)} already", hint=f"take another name{removed}"
    )


def _node(host: HostSpec) -> str | None:
    return host.proxmox.node if host.proxmox else None


def _place(host: HostSpec) -> str:
    if host.local:
        return "this machine"
    return f"node {host.proxmox.node} of {host.url}" if host.proxmox else f"{host.url}"


def add_host(
    ctx: Context,
    name: str,
    url: str,
    *,
    token: Secret | None,
    certificate: str | None = None,
    pool: str | None = None,
    ssh: str | None = None,
    bridge: str | None = None,
    pci: Mapping[str, str] | None = None,
) -> HostResult:
    """Make an Incus server on another machine a host of the lab, or say so of one anew.

    With `token`, the server is made to trust the lab, and must be the one that the token names.
    Without, it must trust the lab already, and `certificate` is the fingerprint that a user has
    agreed to. What its kernel lets containers do is found out in an instance. `pool` of None: as
    hosts.yaml says already, else "default".
    """
    check_words(name, bridge)
    whole, shown = full_url(url), credentials(ctx.lab, ctx.seed)
    invitation = read_token(token) if token is not None else None
    there = ctx.lab.hosts.get(name)
    host = HostSpec(
        name,
        HostKind.INCUS,
        "",
        pool or (there.pool if there else "default"),
        4,
        url=whole,
        certificate=invitation.fingerprint if invitation else certificate,
        ssh=ssh,
        bridge=bridge,
        pci=pci or {},
    )
    check_twin(ctx, host)
    with start(ctx.lab.state, "host", WHOLE_LAB, ctx.listener) as run:
        with run.step(f"get to know {whole}"):
            if invitation is not None:
                introduce(whole, invitation, shown)
            elif certificate is None or not known(whole, certificate, shown):
                raise PlexError(
                    f"{whole} does not know this lab",
                    hint="with --token, a token of `incus config trust add plexctl` on that host "
                    "is read from standard input",
                )
        client = IncusHost(host, shown)
        _require_pool(client)
        host = replace(host, facts=_facts(ctx, client, run))
        changed = set_host(hosts_file(ctx), name, host_fields(host))
    return HostResult(name, changed, f"host {name} is at {whole}")


def hosts_file(ctx: Context) -> Path:
    return ctx.lab.root / "clusters" / "hosts.yaml"


def _require_pool(client: IncusHost) -> None:
    """PlexError if the server has no such storage pool."""
    pools = client.pools()
    if client.spec.pool not in pools:
        raise PlexError(
            f"{client.spec.url} has no storage pool {client.spec.pool}",
            details=(f"it has {', '.join(pools) or 'none'}",),
            hint="--pool names another one; `plexctl host prepare` makes one",
        )


def _facts(ctx: Context, client: IncusHost, run: Run) -> HostFacts:
    """Found out in an instance of the base that the lab's first plex is baked on."""
    here = baking_host(ctx.lab.hosts, client.spec)
    plex = next(iter(ctx.lab.plexes.values()), None)
    if plex is None:
        raise PlexError("the lab has no plex yet", hint="`plexctl init` writes a first one")
    bake_types(ctx, {(here, plex.type.name): plex.type}, plex.kubernetes, run)
    top = known_recipe(ctx, plex.type, plex.kubernetes, here)
    assert top is not None  # the depot was filled just now
    base = layers(top)[0].name
    source = incus_hosts(ctx.hosts)[here]
    return probe_remote(source, client, base, ctx.seed.lab_id, ctx.cache / "bake", run)


def remove(ctx: Context, name: str) -> HostResult:
    """Take a host out of the lab. UsageError while a plex names it; it keeps what it has."""
    if name not in ctx.lab.hosts:
        raise UsageError(
            f"the lab has no host {name}", hint=f"there are {', '.join(ctx.lab.hosts)}"
        )
    users = [plex.name for plex in ctx.lab.plexes.values() if name in plex.hosts]
    if users:
        raise UsageError(
            f"host {name} is named by plex {', '.join(users)}", hint="take it out there first"
        )
    if len(ctx.lab.hosts) == 1:
        raise UsageError("a lab has at least one host")
    kept = 0
    with suppress(PlexError):  # one that is gone for good must be removable too
        kept = _instances(ctx, name)
    changed = remove_host(hosts_file(ctx), name)
    token_file(ctx.lab, name).unlink(missing_ok=True)
    text = f"host {name} is no part of the lab any more"
    if kept:
        text += f"; it keeps {kept} instance{'' if kept == 1 else 's'} of it"
    return HostResult(name, changed, text)
