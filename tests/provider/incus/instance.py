"""Instances, with the order of steps that the real provider has: create, start, wait, push."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tf.types import Unknown

from ..resource import RefusedError
from ..wire import Values, known, same
from .client import NotFoundError, Server
from .common import Object, device_blocks, devices, empty_properties, is_set, strings

_RUNNING = ("Running", "Ready")
_AGENT_SECONDS = 180


class Instance(Object):
    replace = frozenset(
        {"name", "type", "image", "ephemeral", "project", "remote", "source_file"}
        | {"source_instance"}
    )
    defaults: ClassVar = {
        "type": "container",
        "ephemeral": False,
        "running": True,
        "profiles": ["default"],
        "config": {},
    }
    kept = frozenset({"architecture", "target"})
    options = ("image",)
    computed_keys = ("environment.", "image.", "oci.", "volatile.")

    def path(self, values: Values) -> tuple[str, ...]:
        return ("instances", values["name"])

    def check(self, config: Values) -> Sequence[str]:
        wrong = empty_properties(config)
        wrong += self.unserved(config, "source_file", "source_instance", "exec", "target")
        wrong += [
            f"Config key cannot have 'volatile.' or 'image.' prefix. Got: {key!r}."
            for key in strings(config["config"])
            if key.startswith(("volatile.", "image."))
        ]
        files = is_set(config["file"])
        if files and config["running"] is False:
            wrong.append("Files can only be pushed to running instances.")
        if files and config["type"] == "virtual-machine":
            waits = config["wait_for"]
            if waits is not Unknown and not any(one["type"] == "agent" for one in waits):
                wrong.append(
                    'Wait for "agent" is required when files are uploaded to the instance.'
                )
        return wrong

    def create(self, planned: Values, made: Values) -> Values:
        values = known(planned)
        server = self.remotes.server(values)
        if values["image"] is None and values["running"]:
            raise RefusedError(
                "running must be set to false if the instance is created without image"
            )
        server.call("POST", ("instances",), self._body(server, values))
        made |= values
        if values["running"] or values["file"]:
            self._start(server, values)
        for file in values["file"]:
            self._push(server, values, file)
        return self.sync(values)

    def _body(self, server: Server, values: Values) -> dict[str, Any]:
        source = {"type": "none"}
        if values["image"] is not None:
            source = {"type": "image", "fingerprint": _fingerprint(server, values["image"])}
        return {
            "name": values["name"],
            "type": values["type"],
            "ephemeral": values["ephemeral"],
            "profiles": values["profiles"],
            "config": strings(values["config"]),
            "devices": devices(values),
            "source": source,
        }

    def _start(self, server: Server, values: Values) -> None:
        self._become(server, values, "start")
        for wait in values["wait_for"]:
            if wait["type"] == "agent":
                _until_operational(server, values["name"])
            elif wait["type"] != "delay":
                raise RefusedError(f"wait_for {wait['type']} is not served here")

    def _become(self, server: Server, values: Values, action: str, *, force: bool = False) -> None:
        body = {"action": action, "force": force, "timeout": 180}
        server.call("PUT", (*self.path(values), "state"), body)

    def _push(self, server: Server, values: Values, file: Values) -> None:
        if file["create_directories"]:
            raise RefusedError("create_directories is not served here")
        if file["source_path"] is not None:
            content = Path(file["source_path"]).expanduser().read_bytes()
        else:
            content = (file["content"] or "").encode()
        headers = {
            "Content-Type": "application/octet-stream",
            "X-Incus-type": "file",
            "X-Incus-write": "overwrite",
            "X-Incus-mode": file["mode"] or "0755",
            "X-Incus-uid": str(file["uid"] or 0),
            "X-Incus-gid": str(file["gid"] or 0),
        }
        path = (*self.path(values), "files")
        query = {"path": file["target_path"]}
        server.call("POST", path, content, query=query, headers=headers)

    def update(self, prior: Values, planned: Values) -> Values:
        values = known(planned)
        server = self.remotes.server(values)
        seen = server.get(*self.path(values))
        running = seen["status"] in _RUNNING
        if running and not values["running"]:
            self._become(server, values, "stop")
        body = {
            "architecture": seen["architecture"],
            "description": seen["description"],
            "ephemeral": values["ephemeral"],
            "profiles": values["profiles"],
            "config": self.merged(seen["config"], values),
            "devices": devices(values),
        }
        server.call("PUT", self.path(values), body)
        if values["running"] and not running:
            self._start(server, values)
        before = {file["target_path"]: file for file in prior["file"] or ()}
        for file in values["file"]:
            old = before.get(file["target_path"])
            if old is None or not same(old, file):
                self._push(server, values, file)
        return self.sync(values)

    def delete(self, state: Values) -> None:
        server = self.remotes.server(state)
        try:
            if server.get(*self.path(state), "state")["status"] != "Stopped":
                self._become(server, state, "stop", force=True)
            super().delete(state)
        except NotFoundError:
            return

    def sync(self, values: Values) -> Values:
        # One call for both, which matters with many instances.
        seen = self.remotes.server(values).get(*self.path(values), recursion="1")
        networks = seen["state"]["network"] or {}
        name, link = _main_interface(seen["config"], networks)
        addresses = link.get("addresses", ())
        return values | {
            "name": seen["name"],
            "type": seen["type"],
            "architecture": seen["architecture"],
            "ephemeral": seen["ephemeral"],
            "status": seen["status"],
            "running": seen["status"] == "Running",
            "profiles": seen["profiles"],
            "target": "" if seen["location"] == "none" else seen["location"],
            "device": device_blocks(seen["devices"]),
            "config": self.shown(seen["config"], values),
            "ipv4_address": _address(addresses, "inet"),
            "ipv6_address": _address(addresses, "inet6"),
            "mac_address": link.get("hwaddr") if name else None,
            "interfaces": {key: _interface(key, one) for key, one in networks.items()},
        }


def _fingerprint(server: Server, image: str) -> str:
    try:
        return str(server.get("images", "aliases", image)["target"])
    except NotFoundError:
        return str(server.get("images", image)["fingerprint"])


def _until_operational(server: Server, name: str) -> None:
    """Wait until the agent of a virtual machine answers."""
    end = time.monotonic() + _AGENT_SECONDS
    while server.get("instances", name, "state")["processes"] < 0:
        if time.monotonic() > end:
            raise RefusedError(f"the agent of {name} did not answer within {_AGENT_SECONDS} s")
        time.sleep(0.5)


def _main_interface(
    config: Mapping[str, str], networks: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    wanted = config.get("user.access_interface")
    for name, link in sorted(networks.items()):
        if name == wanted or (not wanted and name != "lo" and _address(link["addresses"], "inet")):
            return name, link
    return "", {}


def _address(addresses: Sequence[Mapping[str, str]], family: str) -> str | None:
    found = (
        one["address"] for one in addresses if one["family"] == family and one["scope"] == "global"
    )
    return next(found, None)


def _interface(name: str, link: Mapping[str, Any]) -> Values:
    return {
        "name": name,
        "type": link["type"],
        "state": link["state"],
        "ip_addresses": [
            {key: one[key] for key in ("address", "family", "scope")} for one in link["addresses"]
        ],
    }
