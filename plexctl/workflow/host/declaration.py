"""Check the declaration of a host in hosts.yaml before anything is changed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from plexctl.config.faults import Fault
from plexctl.config.values.names import INTERFACE, NAME
from plexctl.config.values.urls import PROXMOX_TOKEN
from plexctl.errors import UsageError
from plexctl.model.host_spec import HostSpec
from plexctl.workflow.core.context import Context


def hosts_file(ctx: Context) -> Path:
    return ctx.lab.root / "clusters" / "hosts.yaml"


def full_url(url: str, port: int) -> str:
    """ "10.0.0.7" -> "https://10.0.0.7:8443", `port` if it has none. UsageError for no such URL."""
    refusal = UsageError(
        f"'{url}' is not the URL of a host", hint=f"for example https://10.0.0.7:{port}"
    )
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host, port = parts.hostname, parts.port or port
    except ValueError:
        raise refusal from None
    if parts.scheme != "https" or not host or parts.username or parts.path not in ("", "/"):
        raise refusal
    return urlunsplit(
        ("https", f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "", "", "")
    )


def pinned(ctx: Context, name: str, url: str, certificate: str) -> bool:
    """Whether the lab trusts this certificate of the host already."""
    there = ctx.lab.hosts.get(name)
    return there is not None and (there.url, there.certificate) == (url, certificate)


def check_values(name: str, bridge: str | None = None, token_id: str | None = None) -> None:
    """UsageError for values that hosts.yaml does not allow."""
    for kind, value in (
        (NAME, name),
        (INTERFACE, bridge),
        (PROXMOX_TOKEN, token_id),
    ):
        try:
            if value is not None:
                kind.parse(value)
        except Fault as fault:
            raise UsageError(str(fault), hint=fault.hint) from fault


def check_unique(ctx: Context, host: HostSpec) -> None:
    """UsageError if the lab has this server under another name, or another server under this."""
    if there := ctx.lab.hosts.get(host.name):
        # A reinstalled server has another certificate; a server that has moved, another URL.
        other = there.url != host.url and there.certificate != host.certificate
        if there.kind != host.kind or _node(there) != _node(host) or there.local or other:
            raise name_taken(there)
    for one in ctx.lab.hosts.values():
        if one.name != host.name and (one.url, _node(one)) == (host.url, _node(host)):
            raise UsageError(f"the lab already has {host.url}, as host {one.name}")


def name_taken(host: HostSpec) -> UsageError:
    """The error for giving another machine the name of `host`."""
    removed = "" if host.local else f", or `plexctl host remove {host.name}` first"
    return UsageError(
        f"the lab already has a host {host.name}: {_machine(host)}",
        hint=f"choose another name{removed}",
    )


def _node(host: HostSpec) -> str | None:
    return host.proxmox.node if host.proxmox else None


def _machine(host: HostSpec) -> str:
    if host.local:
        return "this machine"
    return f"node {host.proxmox.node} of {host.url}" if host.proxmox else f"{host.url}"
