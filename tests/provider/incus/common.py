"""Common parts of all resource types of lxc/incus: remotes, config, devices, identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf.types import Unknown

from ..resource import RefusedError, Resource
from ..wire import Block, Values
from .client import NotFoundError, Server


class Remotes:
    """The servers that the provider's block names; set before any resource is asked for."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self._default = ""

    def configure(self, config: Values) -> None:
        folder = Path(config["config_dir"] or Path.home() / ".config" / "incus")
        for remote in config["remote"] or ():
            address = remote["address"] or "unix://"
            self._servers[remote["name"]] = Server(remote["name"], address, folder)
        self._default = config["default_remote"] or ""
        if not self._servers:
            self._servers["local"] = Server("local", "unix://", folder)

    def server(self, values: Values) -> Server:
        name = values["remote"] or self._default or "local"
        if name not in self._servers:
            raise RefusedError(f"There is no remote {name!r}")
        return self._servers[name]


class Object(Resource):
    """The base class of networks, profiles, volumes and instances.

    `computed_keys` are keys of `config` that a host may set itself: an exact key, or what a key
    begins with if it ends in a dot. They are shown only where the configuration has them.
    """

    computed_keys: tuple[str, ...] = ()
    required: tuple[str, ...] = ("name",)
    options: tuple[str, ...] = ()

    def __init__(self, name: str, block: Block, remotes: Remotes) -> None:
        super().__init__(name, block)
        self.remotes = remotes

    def path(self, values: Values) -> tuple[str, ...]:
        """Where an object is, below /1.0."""
        raise NotImplementedError

    def sync(self, values: Values) -> Values:
        """`values` with all that the host knows better. NotFoundError if it has no such object."""
        raise NotImplementedError

    def read(self, state: Values) -> Values | None:
        try:
            return self.sync(state)
        except NotFoundError:
            return None

    def delete(self, state: Values) -> None:
        try:
            self.remotes.server(state).call("DELETE", self.path(state))
        except NotFoundError:
            return

    def unserved(self, config: Values, *names: str) -> list[str]:
        """A problem for each of `names` that the configuration sets."""
        return [f"{one} of {self.name} is not served here" for one in names if is_set(config[one])]

    def merged(self, seen: Mapping[str, str], wanted: Values) -> dict[str, str]:
        """A config to send: what is wanted, and what the host has set itself."""
        own = strings(wanted["config"])
        kept = {key: value for key, value in seen.items() if self._is_computed(key)}
        return {key: value for key, value in (kept | own).items() if value}

    def shown(self, seen: Mapping[str, str], values: Values) -> dict[str, str]:
        """A config for the state."""
        own = strings(values["config"])
        return {
            key: value
            for key, value in seen.items()
            if value and (key in own or not self._is_computed(key))
        }

    def _is_computed(self, key: str) -> bool:
        return any(
            key == one or (one.endswith(".") and key.startswith(one)) for one in self.computed_keys
        )

    def import_(self, identifier: str) -> Values:
        """[remote:][project/]name[,option=value], or [remote:][project]/pool/name."""
        whole, *options = identifier.split(",")
        remote, _, rest = whole.rpartition(":")
        *before, last = rest.split("/")
        names = [*before, last]
        project = names.pop(0) if len(names) > 1 else ""
        if len(names) != len(self.required) or not all(names):
            raise RefusedError(f"Invalid import ID: {identifier!r}")
        found: Values = dict(zip(self.required, names, strict=True))
        found |= {"remote": remote or None, "project": project or None}
        for option in options:
            key, _, value = option.partition("=")
            if key not in self.options:
                raise RefusedError(f"Import ID contains unexpected option {key!r}")
            found[key] = value
        return found


def is_set(value: Any) -> bool:
    """Whether a configuration is known to say something."""
    return value is not None and value is not Unknown and value != []


def strings(config: Any) -> dict[str, str]:
    """The pairs of a map that are known and not null."""
    if config is None or config is Unknown:
        return {}
    return {key: value for key, value in config.items() if value not in (None, Unknown)}


def config_of(values: Values) -> dict[str, str]:
    return strings(values["config"])


def devices(values: Values) -> dict[str, dict[str, str]]:
    """The blocks `device` as the server has them."""
    return {one["name"]: {"type": one["type"], **one["properties"]} for one in values["device"]}


def device_blocks(seen: Mapping[str, Mapping[str, str]]) -> list[Values]:
    return [
        {
            "name": name,
            "type": device["type"],
            "properties": {key: value for key, value in device.items() if key != "type"},
        }
        for name, device in sorted(seen.items())
    ]


def empty_properties(config: Values) -> list[str]:
    if config["device"] is Unknown:
        return []
    return [
        f"device {one['name']}: {key} is empty"
        for one in config["device"]
        for key, value in (one["properties"] if isinstance(one["properties"], dict) else {}).items()
        if value == ""
    ]
