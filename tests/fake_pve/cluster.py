"""The cluster itself: version, nodes, numbers, resources, PCI mappings, pools, bridges."""

from __future__ import annotations

from typing import Any

from tests.fake_pve import guests
from tests.fake_pve.errors import ApiError, RefusedError, bad_parameters
from tests.fake_pve.qemu import describe
from tests.fake_pve.routing import Call, route
from tests.fake_pve.schema import VERSION
from tests.fake_pve.state import GIB, Guest

CORES, MEMORY, KERNEL = 16, 64 * GIB, "6.14.8-2-pve"


@route("GET /version")
def version(call: Call) -> dict[str, Any]:
    """The version whose schema is in force."""
    return {"version": f"{VERSION}.1", "release": VERSION, "repoid": "fakefakefakefake"}


@route("GET /nodes")
def nodes(call: Call) -> list[dict[str, Any]]:
    """All nodes, also those that are down."""
    return [_node(call, name) for name in call.cluster.nodes]


def _node(call: Call, name: str) -> dict[str, Any]:
    if name in call.cluster.down:
        return {"node": name, "id": f"node/{name}", "type": "node", "status": "offline"}
    return {
        "node": name, "id": f"node/{name}", "type": "node", "status": "online",
        "maxcpu": CORES, "cpu": 0.01, "maxmem": MEMORY, "mem": 2 * GIB,
        "maxdisk": 100 * GIB, "disk": 8 * GIB, "uptime": 1000, "level": "",
        "ssl_fingerprint": call.pve.fingerprint,
    }  # fmt: skip


@route("GET /nodes/{node}/status")
def status(call: Call) -> dict[str, Any]:
    """Load, memory and processors of a node."""
    running = [one for one in call.cluster.guests.values() if one.running and one.node == call.node]
    used = 2 * GIB + sum(describe(one)["maxmem"] for one in running)
    return {
        "cpu": 0.01, "wait": 0, "uptime": 1000, "loadavg": ["0.10", "0.10", "0.10"],
        "cpuinfo": {"cpus": CORES, "cores": CORES // 2, "sockets": 1, "model": "Fake"},
        "memory": {
            "total": MEMORY, "used": used, "free": max(0, MEMORY - used),
            "available": max(0, MEMORY - used),
        },
        "boot-info": {"mode": "efi", "secureboot": 0},
        "current-kernel": {
            "sysname": "Linux", "release": KERNEL, "version": "#1 SMP", "machine": "x86_64",
        },
        "swap": {"total": 0, "used": 0, "free": 0},
        "rootfs": {"total": 100 * GIB, "used": 8 * GIB, "free": 92 * GIB, "avail": 92 * GIB},
        "pveversion": f"pve-manager/{VERSION}.1/fakefakefakefake", "kversion": f"Linux {KERNEL}",
    }  # fmt: skip


@route("GET /nodes/{node}/version")
def node_version(call: Call) -> dict[str, Any]:
    """The version of a node."""
    found: dict[str, Any] = version(call)
    return found


@route("GET /nodes/{node}/network")
def network(call: Call) -> list[dict[str, Any]]:
    """The bridges of a node."""
    return [
        {"iface": name, "type": "bridge", "active": 1, "autostart": 1, "method": "static"}
        for name in sorted(call.cluster.bridges)
        if call.params.get("type", "bridge") in {"bridge", "any_bridge", "any_local_bridge"}
    ]


@route("GET /cluster/status")
def cluster_status(call: Call) -> list[dict[str, Any]]:
    """Whether the cluster has its nodes."""
    found: list[dict[str, Any]] = [
        {"type": "node", "name": name, "id": f"node/{name}", "nodeid": number,
         "online": int(name not in call.cluster.down), "local": int(number == 1), "level": ""}
        for number, name in enumerate(call.cluster.nodes, 1)
    ]  # fmt: skip
    if len(found) > 1:
        found.insert(0, {"type": "cluster", "id": "cluster", "name": "fake", "quorate": 1,
                         "nodes": len(found), "version": 1})  # fmt: skip
    return found


@route("GET /cluster/nextid")
def nextid(call: Call) -> str:
    """The first free number, which stays free for others too until somebody takes it."""
    wanted = call.params.get("vmid")
    if wanted is not None:
        if wanted in call.cluster.guests:
            raise bad_parameters({"vmid": f"VM {wanted} already exists"})
        return str(wanted)
    return str(next(number for number in range(100, 10**9) if number not in call.cluster.guests))


@route("GET /cluster/resources")
def resources(call: Call) -> list[dict[str, Any]]:
    """Guests, nodes and storages, in one list."""
    kind = call.params.get("type", "")
    found: list[dict[str, Any]] = []
    if kind in {"", "vm"}:
        shown = [one for one in call.cluster.guests.values() if guests.may_see(call.who, one)]
        found += [_resource(call, one) for one in shown]
    if kind in {"", "node"}:
        found += [_node(call, name) for name in call.cluster.nodes]
    if kind in {"", "storage"}:
        found += [
            {"id": f"storage/{node}/{one.name}", "type": "storage", "node": node,
             "storage": one.name, "status": "available", "plugintype": one.type,
             "content": ",".join(sorted(one.content)), "shared": int(one.shared),
             "maxdisk": one.total, "disk": one.used}
            for node in call.cluster.nodes
            for one in call.cluster.storages.values()
        ]  # fmt: skip
    return found


def _resource(call: Call, guest: Guest) -> dict[str, Any]:
    shown = describe(guest)
    shown["maxcpu"] = shown.pop("cpus")
    shown.pop("pid", None)
    shown.update(id=f"{guest.kind}/{guest.vmid}", type=guest.kind, node=guest.node)
    shown["template"] = int(guest.template)
    if guest.node in call.cluster.down:
        shown["status"] = "unknown"
    pool = next((name for name, all in call.cluster.pools.items() if guest.vmid in all), None)
    return {**shown, "pool": pool} if pool else shown


@route("GET /cluster/mapping/pci")
def mappings(call: Call) -> list[dict[str, Any]]:
    """The PCI mappings that the caller may use."""
    rights = ["Mapping.Use", "Mapping.Modify", "Mapping.Audit"]
    found = [
        dict(one) for name, one in call.cluster.pci.items()
        if call.who.may(f"/mapping/pci/{name}", rights, some=True)
    ]  # fmt: skip
    if "check-node" in call.params:
        for one in found:
            here = any(f"node={call.params['check-node']}" in text for text in one["map"])
            problem = {"severity": "warning", "message": "No mapping for node "
                       f"{call.params['check-node']}."}  # fmt: skip
            one["checks"] = [] if here else [problem]
    return found


@route("GET /cluster/mapping/pci/{id}")
def mapping(call: Call) -> dict[str, Any]:
    """One PCI mapping."""
    name = call.params["id"]
    if name not in call.cluster.pci:
        raise RefusedError(f"mapping '{name}' not found")
    return dict(call.cluster.pci[name])


@route("POST /cluster/mapping/pci")
def create_mapping(call: Call) -> None:
    """A new PCI mapping."""
    name = call.params["id"]
    if name in call.cluster.pci:
        raise ApiError(500, f"mapping ID '{name}' already defined")
    call.cluster.pci[name] = {"description": "", **call.params, "type": "pci"}


@route("DELETE /cluster/mapping/pci/{id}")
def delete_mapping(call: Call) -> None:
    """Its end."""
    call.cluster.pci.pop(call.params["id"], None)


@route("GET /pools")
def pools(call: Call) -> list[dict[str, Any]]:
    """All pools."""
    return [{"poolid": name} for name in sorted(call.cluster.pools)]


@route("POST /pools")
def create_pool(call: Call) -> None:
    """A new pool."""
    name = call.params["poolid"]
    if name in call.cluster.pools:
        raise RefusedError(f"pool '{name}' already exists")
    call.cluster.pools[name] = set()


@route("DELETE /pools")
def delete_pool(call: Call) -> None:
    """Its end, if it is empty."""
    name = call.params["poolid"]
    if call.cluster.pools.get(name):
        raise RefusedError(
            f"pool '{name}' is not empty (contains VM {min(call.cluster.pools[name])})"
        )
    call.cluster.pools.pop(name, None)
