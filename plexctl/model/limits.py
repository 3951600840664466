"""Limits of a host's kernel that its nodes share, and the values that a number of nodes needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NEIGHBOURS = "net.ipv4.neigh.default.gc_thresh"

SYSCTLS: Mapping[str, int] = {
    "fs.inotify.max_user_instances": 8192,  # systemd, containerd and kubelet of each node
    "fs.inotify.max_user_watches": 524288,
    "kernel.keys.maxkeys": 20000,  # one for each container of each pod
    "kernel.keys.maxbytes": 2000000,
    "net.ipv4.ip_forward": 1,
    f"{NEIGHBOURS}1": 8192,  # each node may know all others
    f"{NEIGHBOURS}2": 16384,
    f"{NEIGHBOURS}3": 32768,
    "net.netfilter.nf_conntrack_max": 262144,  # nodes count their connections in the host's table
}
"""The least values of a prepared host; `host prepare` never lowers a value."""

PER_NODE: Mapping[str, int] = {
    "fs.inotify.max_user_instances": 14,  # kubelet 6, systemd 3, containerd 2, kube-proxy 1
    "fs.inotify.max_user_watches": 100,  # 80: files of the kubelet, units, each ConfigMap mounted
    "kernel.keys.maxkeys": 13,  # 10: a keyring for each container and each service of systemd
    "kernel.keys.maxbytes": 500,
    "kernel.keys.root_maxkeys": 13,
    "kernel.keys.root_maxbytes": 500,
    "fs.file-max": 500,  # 340
    "kernel.pid_max": 100,  # 60 threads, most of Go programs; more while it boots
    "kernel.threads-max": 100,
    "net.netfilter.nf_conntrack_max": 100,  # each node's connections are in the host's table
}
"""Use of a worker plus a fifth or more: measured with nothing but Kubernetes on it."""

BASE: Mapping[str, int] = {
    "fs.inotify.max_user_instances": 40,  # 15 of the host, 13 more of a master
    "fs.inotify.max_user_watches": 4000,
    "net.netfilter.nf_conntrack_max": 4000,
}
"""Use of the host and a master, for limits whose use the kernel does not report."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """A limit that is too low for a number of nodes."""

    name: str  # "kernel.keys.maxkeys"
    value: int
    needed: int
    nodes: int  # on the host
    settings: Mapping[str, int]  # sysctls that raise it

    def __str__(self) -> str:
        lifts = " ".join(f"{name}={value}" for name, value in self.settings.items())
        need = "may need up to" if self.name.startswith(NEIGHBOURS) else "need about"
        return (
            f"{self.name} is {self.value}, and {self.nodes} nodes {need} {self.needed}:"
            f" sysctl -w {lifts}"
        )


def shortages(
    values: Mapping[str, int], used: Mapping[str, int], new: int, running: int
) -> tuple[Shortage, ...]:
    """Limits that are too low for `new` nodes beside `running` ones.

    `values` are the limits now, by sysctl; `used` is the use now, where the kernel reports it.
    """
    nodes = new + running
    needs = {
        name: used[name] + each * new if name in used else BASE.get(name, 0) + each * nodes
        for name, each in PER_NODE.items()
    }
    needs[f"{NEIGHBOURS}3"] = nodes * nodes  # at worst: each to all others
    return tuple(
        Shortage(name, values[name], needed, nodes, _settings(name, needed))
        for name, needed in needs.items()
        if name in values and values[name] < needed
    )


def _settings(name: str, needed: int) -> dict[str, int]:
    if name.startswith(NEIGHBOURS):  # at the lower two the kernel begins to drop entries
        grown = max(1, -(-needed // SYSCTLS[name]))
        return {f"{NEIGHBOURS}{n}": SYSCTLS[f"{NEIGHBOURS}{n}"] * grown for n in (1, 2, 3)}
    return {name: max(SYSCTLS.get(name, 0), 1 << needed.bit_length())}
