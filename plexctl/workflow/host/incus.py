"""Incus servers as hosts of a lab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from plexctl.bake.place import baking_host
from plexctl.bake.probe import probe_remote
from plexctl.clients.hosts import incus_hosts
from plexctl.clients.incus.host import IncusHost
from plexctl.clients.incus.trust import introduce, known, read_token
from plexctl.config.edit_hosts import host_fields, set_host
from plexctl.errors import PlexError
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.secret import Secret
from plexctl.plan.recipes import layers
from plexctl.results.hosts import HostResult
from plexctl.workflow.core.clients import credentials
from plexctl.workflow.core.clock import clock_note
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, Run, start
from plexctl.workflow.host.declaration import check_unique, check_values, full_url, hosts_file
from plexctl.workflow.host.request import HostRequest, LocalTarget, PreparedHost, login
from plexctl.workflow.images.ensure import bake_types
from plexctl.workflow.images.recipes import known_recipe

PORT = 8443


class IncusOnboarding:
    """See `Onboarding`."""

    port = PORT

    def client_name(self, short_id: str) -> str:
        return f"plexctl-{short_id}"

    def check(self, request: HostRequest) -> None:
        """Incus supports every valid request."""

    def changes(self, request: HostRequest) -> list[str]:
        return [
            "Incus over HTTPS",
            *([f"storage pool {request.pool.name}"] if request.pool else ()),
        ]

    def trusts(self, ctx: Context, request: HostRequest) -> bool:
        there = ctx.lab.hosts.get(request.name)
        if there is None or not (there.url and there.certificate):
            return False
        try:
            return known(there.url, there.certificate, credentials(ctx.lab, ctx.seed))
        except PlexError:
            return False

    def joins(self, request: HostRequest) -> bool:
        # The socket of this machine needs no token.
        return request.client is not None or isinstance(request.reach, LocalTarget)

    def join(
        self, ctx: Context, request: HostRequest, prepared: PreparedHost, node: str | None
    ) -> HostResult:
        bridge = request.bridge.name if request.bridge else None
        if isinstance(request.reach, LocalTarget):
            fields: dict[str, object] = {"kind": str(request.kind)}
            fields |= {"pool": request.pool.name} if request.pool else {}
            fields |= {"bridge": bridge} if bridge else {}
            fields |= {"pci": dict(request.pci)} if request.pci else {}
            changed = set_host(ctx.lab.root, hosts_file(ctx), request.name, fields)
            return HostResult(request.name, changed, f"host {request.name} is this machine")
        url, certificate = prepared.api()
        return add_incus(
            ctx,
            request.name,
            url,
            token=prepared.token,
            certificate=certificate,
            pool=request.pool.name if request.pool else None,
            ssh=login(request.reach),
            bridge=bridge,
            pci=request.pci,
        )


def add_incus(
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
    """Add an Incus server on another machine to the lab's hosts, or update its entry.

    With `token`, the lab logs in with it; the server must have the certificate that the token
    names. Without, the server must trust the lab already, and `certificate` is the fingerprint
    that the user has agreed to. The facts of its kernel are observed in a container there. `pool`
    of None: as hosts.yaml says, else "default".
    """
    check_values(name, bridge)
    whole, shown = full_url(url, PORT), credentials(ctx.lab, ctx.seed)
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
    check_unique(ctx, host)
    with start(ctx.lab.state, "host", WHOLE_LAB, ctx.listener) as run:
        with run.step(f"connect to {whole}"):
            if invitation is not None:
                introduce(whole, invitation, shown)
            elif certificate is None or not known(whole, certificate, shown):
                raise PlexError(
                    f"{whole} does not trust this lab",
                    hint="run `incus config trust add plexctl` on that host, and give its token "
                    "to `plexctl host add --token` on standard input",
                )
        client = IncusHost(host, shown)
        _require_pool(client)
        if note := clock_note(name, client.clock_offset):
            run.note(note)
        host = replace(host, facts=_facts(ctx, client, run))
        changed = set_host(ctx.lab.root, hosts_file(ctx), name, host_fields(host))
    return HostResult(name, changed, f"host {name} is at {whole}")


def _require_pool(client: IncusHost) -> None:
    """PlexError if the server has no such storage pool."""
    pools = client.pools()
    if client.spec.pool not in pools:
        raise PlexError(
            f"{client.spec.url} has no storage pool {client.spec.pool}",
            details=(f"it has {', '.join(pools) or 'none'}",),
            hint="--pool names another one; `plexctl host prepare` creates one",
        )


def _facts(ctx: Context, client: IncusHost, run: Run) -> HostFacts:
    """The host's facts, observed in a container of the base of the lab's first plex."""
    here = baking_host(ctx.lab.hosts, client.spec)
    plex = next(iter(ctx.lab.plexes.values()), None)
    if plex is None:
        raise PlexError("the lab has no plex yet", hint="`plexctl init` writes a first one")
    bake_types(ctx, {(here, plex.type.name): plex.type}, plex.kubernetes, run)
    top = known_recipe(ctx, plex.type, plex.kubernetes, here)
    assert top is not None  # the depot was filled just now
    source, base = incus_hosts(ctx.hosts)[here], layers(top)[0].name
    return probe_remote(source, client, base, ctx.seed.lab_id, ctx.cache / "bake", run)
