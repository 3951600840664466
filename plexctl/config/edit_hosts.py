"""Adding hosts to `clusters/hosts.yaml`, and removing them. Everything else there stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from plexctl.config.bounded import check_yaml, read_regular
from plexctl.errors import PlexError
from plexctl.model.folder import lab_file
from plexctl.model.host_spec import HostFacts, HostSpec

MIB = 1 << 20


def host_fields(host: HostSpec) -> dict[str, Any]:
    """The fields in hosts.yaml of a host that is another machine."""
    fields: dict[str, Any] = {
        "kind": str(host.kind),
        "url": host.url,
        "certificate": host.certificate,
        "pool": host.pool,
    }
    if host.bridge:
        fields["bridge"] = host.bridge
    if host.project:
        fields["project"] = host.project
    if host.this_machine:
        fields["this_machine"] = True
    if host.ssh:
        fields["ssh"] = host.ssh
    if host.pci:
        fields["pci"] = dict(host.pci)
    if host.facts:
        fields["facts"] = _facts(host.facts)
    if host.proxmox:
        fields["proxmox"] = {
            "node": host.proxmox.node,
            "token": host.proxmox.token,
            "iso": host.proxmox.iso,
        }
    return fields


def set_host(lab: Path, file: Path, name: str, fields: Mapping[str, Any]) -> bool:
    """Set `fields` of the host `name` in `file`, and add the host if it is missing.

    Other fields of the host stay, also in its `proxmox`. False if nothing changed. PlexError if the
    file cannot be changed safely.
    """

    def change(hosts: dict[str, Any]) -> None:
        old = hosts.get(name) or {}
        hosts[name] = {**old, **fields}
        if "proxmox" in fields:
            hosts[name]["proxmox"] = {**(old.get("proxmox") or {}), **fields["proxmox"]}

    return _change(lab, file, name, change)


def remove_host(lab: Path, file: Path, name: str) -> bool:
    """Remove the host `name` from `file`. False if it is not there."""
    return _change(lab, file, name, lambda hosts: hosts.pop(name, None))


def _change(lab: Path, file: Path, name: str, change: Callable[[dict[str, Any]], object]) -> bool:
    refusal = PlexError(
        f"cannot change host {name} in {file}",
        hint="edit the file yourself: its `hosts` is not a block with one host after another",
    )
    try:
        text = read_regular(file).decode()
        check_yaml(text)
        before = yaml.safe_load(text) or {}
        hosts = dict(before.get("hosts") or {})
        change(hosts)
        wanted = {**before, "hosts": hosts}
        if wanted == before:
            return False
        new = _replaced(text, name, hosts.get(name))
        safe = yaml.safe_load(new) == wanted
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise refusal from error
    if not safe:
        raise refusal
    folder, real = lab_file(lab, file)
    folder.rewrite(real, new.encode())
    return True


def _replaced(text: str, name: str, fields: Mapping[str, Any] | None) -> str:
    """`text` with the lines of one host replaced, added at the end of `hosts`, or removed."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    hosts = _value(root, "hosts")
    if not isinstance(hosts, yaml.MappingNode) or hosts.flow_style:
        raise ValueError("hosts is not a block")
    lines = text.splitlines(keepends=True)
    indent = hosts.start_mark.column
    entry = _entry(name, fields, indent) if fields is not None else []
    for key, value in hosts.value:
        if key.value == name:
            first, last = key.start_mark.line, _last_line(value)
            return "".join((*lines[:first], *entry, *lines[last + 1 :]))
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    end = _last_line(hosts.value[-1][1]) + 1
    return "".join((*lines[:end], *entry, *lines[end:]))


def _last_line(node: yaml.Node) -> int:
    """The last line of a value. The end mark of a block is behind the comments that follow it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1])
    return int(node.end_mark.line if node.end_mark.column else node.end_mark.line - 1)


def _value(root: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(root, yaml.MappingNode):
        return next((value for name, value in root.value if name.value == key), None)
    return None


def _entry(name: str, fields: Mapping[str, Any], indent: int) -> list[str]:
    lines = [f"{name}:"]
    for key, value in fields.items():
        flow = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
        lines.append(f"  {key}: {flow.removesuffix('...' + chr(10)).rstrip()}")
    return [f"{' ' * indent}{line}\n" for line in lines]


def _facts(facts: HostFacts) -> dict[str, Any]:
    return {
        "cgroup": facts.cgroup,
        "sys_resource": facts.sys_resource,
        "cpus": facts.cpus,
        "memory": f"{facts.memory // MIB}MiB",
    }
