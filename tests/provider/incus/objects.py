"""Networks, profiles and volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tf.types import Unknown

from ..resource import RefusedError
from ..wire import Values, known
from .common import (
    Object,
    config_of,
    device_blocks,
    devices,
    empty_properties,
    is_set,
    strings,
)


class Network(Object):
    replace = frozenset({"name", "type", "project", "remote", "target"})
    kept = frozenset({"type", "managed"})
    options = ("target",)
    computed_keys = (
        "bridge.mtu",
        "ipv4.address",
        "ipv4.nat",
        "ipv6.address",
        "ipv6.nat",
        "network",
        "tunnel.",
        "volatile.",
    )

    def path(self, values: Values) -> tuple[str, ...]:
        return ("networks", values["name"])

    def check(self, config: Values) -> Sequence[str]:
        own = strings(config["config"])
        return [
            f"{key!r} cannot be set to 'auto'"
            for key in ("ipv4.address", "ipv6.address")
            if own.get(key) == "auto"
        ]

    def create(self, planned: Values, made: Values) -> Values:
        values = known(planned)
        body = {"name": values["name"], "type": values["type"] or "", "config": config_of(values)}
        self.remotes.server(values).call("POST", ("networks",), body)
        made |= values
        return self.sync(values)

    def update(self, prior: Values, planned: Values) -> Values:
        server, values = self.remotes.server(planned), known(planned)
        seen = server.get(*self.path(values))
        body = {"config": self.merged(seen["config"], values), "description": seen["description"]}
        server.call("PUT", self.path(values), body)
        return self.sync(values)

    def sync(self, values: Values) -> Values:
        seen = self.remotes.server(values).get(*self.path(values))
        return values | {
            "name": seen["name"],
            "type": seen["type"],
            "managed": seen["managed"],
            "config": self.shown(seen["config"], values),
        }


RULES = ("ingress", "egress")


class Acl(Object):
    replace = frozenset({"name", "project", "remote"})
    defaults: ClassVar = {"config": {}, "description": "", "ingress": None, "egress": None}

    def path(self, values: Values) -> tuple[str, ...]:
        return ("network-acls", values["name"])

    def check(self, config: Values) -> Sequence[str]:
        return [
            f"{direction}: {rule['action']} is no action"
            for direction in RULES
            if isinstance(config[direction], list)
            for rule in config[direction]
            if rule["action"] not in (Unknown, "allow", "allow-stateless", "drop", "reject")
        ]

    def create(self, planned: Values, made: Values) -> Values:
        values = known(planned)
        body = {"name": values["name"], **self._rules(values)}
        self.remotes.server(values).call("POST", ("network-acls",), body)
        made |= values
        return self.sync(values)

    def update(self, prior: Values, planned: Values) -> Values:
        values = known(planned)
        self.remotes.server(values).call("PUT", self.path(values), self._rules(values))
        return self.sync(values)

    @staticmethod
    def _rules(values: Values) -> Values:
        rules = {
            direction: [
                {key: value for key, value in rule.items() if value}
                for rule in values[direction] or ()
            ]
            for direction in RULES
        }
        return {"config": config_of(values), "description": values["description"] or "", **rules}

    def sync(self, values: Values) -> Values:
        seen = self.remotes.server(values).get(*self.path(values))
        attributes = self.block["attributes"]["ingress"]["nested_type"]["attributes"]
        rules = {
            direction: [
                {name: rule.get(name, "") for name in attributes} for rule in seen[direction]
            ]
            or None
            for direction in RULES
        }
        return values | {
            "name": seen["name"],
            "description": seen["description"],
            "config": self.shown(seen["config"], values),
            **rules,
        }


class Profile(Object):
    replace = frozenset({"name", "project", "remote"})
    defaults: ClassVar = {"config": {}, "project": "default"}

    def path(self, values: Values) -> tuple[str, ...]:
        return ("profiles", values["name"])

    def check(self, config: Values) -> Sequence[str]:
        return empty_properties(config)

    def create(self, planned: Values, made: Values) -> Values:
        values = known(planned)
        body = {"name": values["name"], "config": config_of(values), "devices": devices(values)}
        self.remotes.server(values).call("POST", ("profiles",), body)
        made |= values
        return self.sync(values)

    def update(self, prior: Values, planned: Values) -> Values:
        values = known(planned)
        body = {"config": config_of(values), "devices": devices(values), "description": ""}
        self.remotes.server(values).call("PUT", self.path(values), body)
        return self.sync(values)

    def sync(self, values: Values) -> Values:
        seen = self.remotes.server(values).get(*self.path(values))
        return values | {
            "name": seen["name"],
            "config": dict(seen["config"]),
            "device": device_blocks(seen["devices"]),
        }

    def import_(self, identifier: str) -> Values:
        found = super().import_(identifier)
        return found | {"project": found["project"] or "default"}


class Volume(Object):
    replace = frozenset(
        {"name", "pool", "type", "content_type", "project", "remote", "source_file"}
        | {"source_volume"}
    )
    defaults: ClassVar = {"type": "custom", "content_type": "filesystem", "config": {}}
    required = ("pool", "name")
    computed_keys = ("block.filesystem", "block.mount_options", "volatile.")

    def path(self, values: Values) -> tuple[str, ...]:
        return ("storage-pools", values["pool"], "volumes", values["type"], values["name"])

    def check(self, config: Values) -> Sequence[str]:
        wrong = self.unserved(config, "source_volume", "file")
        if is_set(config["source_file"]):
            both = [name for name in self.defaults if is_set(config[name])]
            wrong += [f"{name} cannot be combined with source_file" for name in both]
        return wrong

    def defaults_for(self, config: Values) -> Mapping[str, Any]:
        return self.defaults if config["source_file"] is None else {}

    def create(self, planned: Values, made: Values) -> Values:
        values = known(planned)
        if values["source_file"] is not None:
            return self._uploaded(values | {"type": "custom"}, made)
        body = {
            "name": values["name"],
            "type": values["type"],
            "content_type": values["content_type"],
            "config": config_of(values),
        }
        path = ("storage-pools", values["pool"], "volumes")
        self.remotes.server(values).call("POST", path, body)
        made |= values
        return self.sync(values)

    def _uploaded(self, values: Values, made: Values) -> Values:
        source = Path(values["source_file"])
        if source.suffix != ".iso":
            raise RefusedError("A source_file that is no .iso is not served here")
        headers = {
            "Content-Type": "application/octet-stream",
            "X-Incus-name": values["name"],
            "X-Incus-type": "iso",
        }
        path = ("storage-pools", values["pool"], "volumes", "custom")
        self.remotes.server(values).call("POST", path, source.read_bytes(), headers=headers)
        made |= values
        return self.sync(values)

    def update(self, prior: Values, planned: Values) -> Values:
        server, values = self.remotes.server(planned), known(planned)
        seen = server.get(*self.path(values))
        body = {"config": self.merged(seen["config"], values), "description": seen["description"]}
        server.call("PUT", self.path(values), body)
        return self.sync(values)

    def sync(self, values: Values) -> Values:
        server = self.remotes.server(values)
        seen = server.get(*self.path(values))
        pool = server.get("storage-pools", values["pool"])["config"]
        inherited = {key.removeprefix("volume.") for key in pool if key.startswith("volume.")}
        own = strings(values["config"])
        config = self.shown(seen["config"], values)
        return values | {
            "type": seen["type"],
            "content_type": seen["content_type"],
            "location": seen["location"],
            "target": "" if seen["location"] == "none" else seen["location"],
            "config": {k: v for k, v in config.items() if k in own or k not in inherited},
        }

    def import_(self, identifier: str) -> Values:
        return super().import_(identifier) | {"type": "custom"}
