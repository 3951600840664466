"""Limits of a host's kernel, compared with the number of nodes before any is created."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from plexctl.model.host_spec import HostSpec
from plexctl.model.limits import NEIGHBOURS, PER_NODE, shortages
from plexctl.model.observed import RUNNING, HostState
from plexctl.model.types import Form
from plexctl.plan.resources.types import Instance
from plexctl.provision.change import Action, Change

PROC = Path("/proc")


def limit_notes(
    hosts: Mapping[str, HostSpec],
    changes: Sequence[Change],
    states: Mapping[str, HostState],
    proc: Path = PROC,
) -> Iterator[str]:
    """One sentence for each limit of this machine that is too low for its nodes.

    VMs do not count, as they have kernels of their own. Limits of other machines are not read.
    """
    for name, host in hosts.items():
        mine = [c for c in changes if c.host == name and c.is_instance]
        new = [c for c in mine if _is_container(c) and c.action is not Action.UPDATE]
        if not new or not host.local:
            continue
        touched = {change.name for change in mine}
        stays = sum(
            observed.status == RUNNING and observed.name not in touched
            for observed in states[name].instances.values()
        )
        values, used = read_limits(proc)
        for shortage in shortages(values, used, len(new), stays):
            yield f"host {name}: {shortage}"


def read_limits(proc: Path = PROC) -> tuple[dict[str, int], dict[str, int]]:
    """The limits of this machine by sysctl, and how much is used, if the kernel counts."""
    names = [n for n in PER_NODE if not n.startswith("kernel.keys.")] + [f"{NEIGHBOURS}3"]
    values = {
        name: number for name in names if (number := _number(_sysctl(proc, name))) is not None
    }
    used: dict[str, int] = {}
    if (files := _fields(proc / "sys/fs/file-nr")) and files[0].isdecimal():
        used["fs.file-max"] = int(files[0])
    if len(load := _fields(proc / "loadavg")) > 3:
        threads = load[3].rpartition("/")[2]
        if threads.isdecimal():
            used["kernel.pid_max"] = used["kernel.threads-max"] = int(threads)
    _keys(proc, values, used)
    return values, used


def _keys(proc: Path, values: dict[str, int], used: dict[str, int]) -> None:
    """The quota of root, who owns the keyrings of containers.

    Root of the machine has sysctls of its own; root of an unprivileged container has those of
    other users.
    """
    for line in _lines(proc / "key-users"):
        user, _, rest = line.partition(":")
        if user.strip() != "0" or len(fields := rest.split()) < 4:
            continue
        root = _number(proc / "sys/kernel/keys/root_maxkeys")
        keys, _, most = fields[2].partition("/")
        taken, _, room = fields[3].partition("/")
        if not all(word.isdecimal() for word in (keys, most, taken, room)):
            return
        prefix = "kernel.keys.root_max" if int(most) == root else "kernel.keys.max"
        values[f"{prefix}keys"], used[f"{prefix}keys"] = int(most), int(keys)
        values[f"{prefix}bytes"], used[f"{prefix}bytes"] = int(room), int(taken)


def _is_container(change: Change) -> bool:
    return isinstance(change.resource, Instance) and change.resource.form is Form.CONTAINER


def _sysctl(proc: Path, name: str) -> Path:
    return proc / "sys" / name.replace(".", "/")


def _number(file: Path) -> int | None:
    fields = _fields(file)
    return int(fields[0]) if fields and fields[0].isdecimal() else None


def _fields(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()


def _lines(file: Path) -> list[str]:
    """The lines of a file; none if the kernel does not have it, or only root can read it."""
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
