"""The verb `host trust`: confine the lab to a project of its own on an Incus host.

An administrator of the host creates the project, the lab's bridges (which no project can have) and
the trust in the lab's certificate, restricted to that project. Everything that needs an
administrator is one shell script, which plexctl prints, or runs where it may use the socket.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from plexctl.bake.base import SHARED_BRIDGE, bake_network
from plexctl.clients import process
from plexctl.clients.environment import environment
from plexctl.clients.incus.host import IncusHost
from plexctl.clients.incus.trust import known, shown_fingerprint
from plexctl.config.edit_hosts import set_host
from plexctl.errors import PlexError, UsageError
from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.lab_id import is_lab, short
from plexctl.model.nodes import nodes
from plexctl.model.plex import Link
from plexctl.model.settings import TAG
from plexctl.model.types import Form, NodeType
from plexctl.plan.network.isolation import isolation
from plexctl.plan.network.links import bridge, sites
from plexctl.plan.resources.types import Acl, Network, Owner, resource_hash
from plexctl.results.hosts import HostResult
from plexctl.workflow.core.clients import credentials
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.host.declaration import full_url, hosts_file
from plexctl.workflow.host.incus import PORT
from plexctl.workflow.registry.plan import registry_types

LOOPBACK = f"127.0.0.1:{PORT}"
DIGITS = 24
"""Of the lab's identifier in the name of its project: 96 bits. Paths of sockets contain it."""

DEADLINE = 300
"""Seconds in which the script must end."""

ALLOW, BLOCK = "allow", "block"

_SCRIPT = """\
#!/bin/sh
# Confines lab {lab} to the project {project} of this Incus server.
# Run it as root or as a member of incus-admin. It may run any number of times.
set -eu
put() {{ # KIND NAME JSON: create or change an object
  if incus query "local:/1.0/$1/$2" >/dev/null 2>&1; then
    incus query --request PUT --data "$3" "local:/1.0/$1/$2"
  else
    incus query --request POST --data "$3" "local:/1.0/$1"
  fi
}}
own() {{ # NETWORK: refuse to change one of somebody else
  owner=$(incus network get "local:$1" user.plex.lab 2>/dev/null) || return 0
  case $owner in
    {lab} | {short}) ;;
    *)
      echo "refusing to change network $1: it belongs to ${{owner:-nobody that is known}}" >&2
      exit 1
      ;;
  esac
}}
if [ -z "$(incus config get local: core.https_address)" ]; then
  incus config set local: core.https_address {listen}
fi
{body}
"""


def project_name(ctx: Context, host: HostSpec) -> str:
    """The project of the lab on `host`: the one in hosts.yaml, or a new one of its own."""
    return host.project or f"plexctl-{ctx.seed.lab_id[:DIGITS]}"


def trust_script(ctx: Context, name: str) -> str:
    """The shell script for an administrator of the host `name`. It holds no secret.

    UsageError while the lab has nodes outside of its project.
    """
    host = incus_host(ctx, name)
    if host.project is None:
        _refuse_instances(ctx, host)
    return _SCRIPT.format(
        lab=ctx.seed.lab_id,
        short=short(ctx.seed.lab_id),
        project=project_name(ctx, host),
        listen=LOOPBACK if host.local else f":{PORT}",
        body="\n".join(_commands(ctx, host)),
    )


def endpoint(ctx: Context, name: str, url: str | None) -> str:
    """The URL at which the lab reaches the host: the given one, that in hosts.yaml, or loopback."""
    host = incus_host(ctx, name)
    return full_url(url or host.url or f"https://{LOOPBACK}", PORT)


def is_administrator(ctx: Context, name: str) -> bool:
    """Whether this user may use the socket of the host, which is this machine."""
    host = incus_host(ctx, name)
    return host.local and os.access(host.socket, os.R_OK | os.W_OK)


def certificate_of(ctx: Context, name: str, url: str) -> tuple[str, bool]:
    """SHA-256 of the server's certificate, and whether that is sure.

    It is if hosts.yaml has it, or if the socket of this machine says so.
    """
    host, shown = incus_host(ctx, name), shown_fingerprint(url)
    if host.certificate == shown:
        return shown, True
    if not is_administrator(ctx, name):
        return shown, False
    reported = json.loads(_incus(host, "incus", "query", "local:/1.0"))
    return shown, str(reported["environment"]["certificate_fingerprint"]) == shown


def run_script(ctx: Context, name: str, script: str) -> None:
    """Run the script on this machine."""
    host = incus_host(ctx, name)
    with (
        start(ctx.lab.state, "host", WHOLE_LAB, ctx.listener) as run,
        run.step(f"create the project {project_name(ctx, host)} on host {name}"),
    ):
        _incus(host, "/bin/sh", "-c", script)


def trust(ctx: Context, name: str, url: str, certificate: str) -> HostResult:
    """Write the new fields of the host to hosts.yaml, after an administrator has run the script.

    `certificate` is the fingerprint that the user has agreed to. PlexError if the server does not
    trust the lab, or lets it use more than its project.
    """
    host = incus_host(ctx, name)
    with start(ctx.lab.state, "host", WHOLE_LAB, ctx.listener) as run:
        project = project_name(ctx, host)
        confined = replace(
            host, url=url, certificate=certificate, project=project, this_machine=host.local
        )
        with run.step(f"connect to {url} as a client that is confined to {project}"):
            shown = credentials(ctx.lab, ctx.seed)
            hint = (
                "an administrator of the host runs the output of "
                f"`plexctl host trust {name} --print`"
            )
            if not known(url, certificate, shown):
                raise PlexError(f"{url} does not trust this lab", hint=hint)
            client = IncusHost(confined, shown)
            client.read()
            if client.connection.may_use("default"):
                raise PlexError(
                    f"{url} lets this lab use the project default: its certificate is not "
                    "restricted",
                    hint=hint,
                )
        fields = {"url": url, "certificate": certificate, "project": project}
        more: dict[str, Any] = {"this_machine": True} if host.local else {}
        changed = set_host(ctx.lab.root, hosts_file(ctx), name, {**fields, **more})
    return HostResult(name, changed, f"host {name} confines the lab to its project {project}")


def incus_host(ctx: Context, name: str) -> HostSpec:
    """The host of that name. UsageError if the lab has none, or if it is no Incus server."""
    host = ctx.lab.hosts.get(name)
    if host is None:
        raise UsageError(f"the lab has no host {name}", hint=f"it has {', '.join(ctx.lab.hosts)}")
    if host.kind is not HostKind.INCUS:
        raise UsageError(
            f"host {name} is no Incus server",
            hint="on Proxmox, restrict the API token of the lab: docs/how-to/proxmox.md",
        )
    return host


def lab_networks(ctx: Context, host: HostSpec) -> Iterator[Network]:
    """The bridges that plexes of the lab and its registry have on `host`."""
    for plex in ctx.lab.plexes.values():
        if host.name in plex.hosts:
            owner = Owner(ctx.seed.lab_id, plex.name)
            site = sites(plex, owner, ctx.lab.hosts)[host.name]
            if site.network:
                yield site.network
    if registry := ctx.lab.registry:
        yield bridge(Owner(ctx.seed.lab_id, registry.name), host.name, registry.gateway)


def lab_acls(ctx: Context, host: HostSpec) -> dict[str, Acl]:
    """The ACLs of bridges of plexes on `host`, by the name of both."""
    found = {}
    for network in lab_networks(ctx, host):
        if plex := ctx.lab.plexes.get(network.owner.plex):
            found[network.name] = isolation(plex, network.owner, network)
    return found


def project_config(ctx: Context, host: HostSpec) -> dict[str, str]:
    """The config of the lab's project: what its plexes on `host` need, and nothing else."""
    plexes = [plex for plex in ctx.lab.plexes.values() if host.name in plex.hosts]
    types = [node.type for plex in plexes for node in nodes(plex) if node.host == host.name]
    types += [t for (where, _), t in registry_types(ctx).items() if where == host.name]
    # A bake mounts folders of this machine, and replaces the first process of its container.
    containers = host.local or any(t.base.form is Form.CONTAINER for t in types)
    bridged = any(plex.networks.link is Link.BRIDGE for plex in plexes) and host.bridge
    networks = [SHARED_BRIDGE, *(one.name for one in lab_networks(ctx, host))]
    allowed = {
        "containers.lowlevel": containers,
        "containers.nesting": containers,
        "devices.unix-char": any(map(_is_privileged, types)),
        "devices.proxy": any(plex.api_forward for plex in plexes),
        "devices.gpu": bool(host.pci),
        "devices.pci": bool(host.pci),
        # Otherwise a restricted project refuses them. Backups are how volumes are read.
        "snapshots": True,
        "backups": True,
    }
    privileged = any(map(_is_privileged, types)) or not host.local  # `host add` probes with one
    return {
        "features.images": "true",
        "features.profiles": "true",
        "features.storage.volumes": "true",
        "features.storage.buckets": "true",
        "features.networks": "false",
        "restricted": "true",
        **{f"restricted.{key}": ALLOW if yes else BLOCK for key, yes in allowed.items()},
        "restricted.containers.privilege": ALLOW if privileged else "unprivileged",
        "restricted.devices.disk": ALLOW if host.local else "managed",
        **({"restricted.devices.disk.paths": str(ctx.cache / "bake")} if host.local else {}),
        "restricted.devices.nic": ALLOW if bridged else "managed",
        "restricted.networks.access": ",".join(
            (*networks, *([host.bridge or ""] if bridged else []))
        ),
    }


def _is_privileged(node_type: NodeType) -> bool:
    return node_type.base.form is Form.CONTAINER and node_type.privileged


def _commands(ctx: Context, host: HostSpec) -> Iterator[str]:
    project = project_name(ctx, host)
    bake = bake_network(replace(host, project=project), ctx.seed.lab_id)
    shared = {"name": bake.bridge, "type": "bridge", "config": bake.config}
    yield f"incus network show local:{bake.bridge} >/dev/null 2>&1 || {_put('networks', shared)}"
    acls = lab_acls(ctx, host)
    for network in lab_networks(ctx, host):
        yield f"own {network.name}"
        named = _tags(network)
        described = dict(named)
        if acl := acls.get(network.name):
            described[f"{TAG}acl"] = resource_hash(acl)
            rules = {"ingress": acl.ingress, "egress": acl.egress}
            plain = {way: [dict(rule) for rule in listed] for way, listed in rules.items()}
            yield _put("network-acls", {"name": acl.name, "config": _tags(acl), **plain})
        body = {
            "name": network.name,
            "type": "bridge",
            "config": {**dict(network.config), **named},
            # A confined client sees no config of a network, only its description.
            "description": " ".join(f"{key}={value}" for key, value in sorted(described.items())),
        }
        yield _put("networks", body)
    description = f"plexctl: lab {ctx.seed.lab_id}"
    config = project_config(ctx, host)
    yield _put("projects", {"name": project, "description": description, "config": config})
    certificate = ssl.PEM_cert_to_DER_cert(credentials(ctx.lab, ctx.seed).certificate.read_text())
    fingerprint = hashlib.sha256(certificate).hexdigest()
    rights = {"restricted": True, "projects": [project]}
    added = {
        "name": f"plexctl-{short(ctx.seed.lab_id)}",
        "type": "client",
        "certificate": base64.b64encode(certificate).decode(),
        **rights,
    }
    path = f"local:/1.0/certificates/{fingerprint}"
    yield f"if incus query {path} >/dev/null 2>&1; then"
    yield f"  incus query --request PATCH --data {_json(rights)} {path}"
    yield "else"
    yield f"  incus query --request POST --data {_json(added)} local:/1.0/certificates"
    yield "fi"


def _tags(resource: Network | Acl) -> dict[str, str]:
    tags = {**resource.owner.tags, "hash": resource_hash(resource), "run": "trust"}
    return {f"{TAG}{key}": value for key, value in tags.items()}


def _put(kind: str, body: Mapping[str, Any]) -> str:
    return f"put {kind} {shlex.quote(str(body['name']))} {_json(body)}"


def _json(value: Mapping[str, Any]) -> str:
    return shlex.quote(json.dumps(value, sort_keys=True))


def _refuse_instances(ctx: Context, host: HostSpec) -> None:
    """UsageError while the lab has instances outside of the project: they would be lost to it."""
    try:
        seen = ctx.hosts[host.name].read().instances.values()
    except PlexError:
        return  # this user cannot look there, and so has none there
    lab = ctx.seed.lab_id
    plexes = {one.tags.get("plex", "") for one in seen if is_lab(one.tags.get("lab"), lab)}
    if plexes := plexes - {""}:
        raise UsageError(
            f"the lab has nodes on host {host.name} that are not in its project: "
            f"{', '.join(sorted(plexes))}",
            hint="destroy them first: `plexctl destroy`, and `plexctl registry destroy`",
        )


def _incus(host: HostSpec, *argv: str) -> str:
    """Run a program that calls the command incus on the socket of this machine; its output."""
    env = {**environment(), "INCUS_SOCKET": str(Path(host.socket))}
    return process.run(argv, timeout=DEADLINE, env=env).stdout
