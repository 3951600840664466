"""The two resource types of bpg/proxmox that the module uses, on a Proxmox host or a fake one."""

from __future__ import annotations

import copy
import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException

from ..resource import RefusedError, Resource
from ..server import Servicer
from ..wire import Block, Values, known, recorded
from .tasks import finish

VM, FILE = "proxmox_virtual_environment_vm", "proxmox_virtual_environment_file"


class Session:
    """The API that the provider's block names."""

    def __init__(self) -> None:
        self.api: Any = None
        self.first = 100

    def configure(self, config: Values) -> None:
        address = re.fullmatch(r"https://([^:/]+):(\d+)/?", config["endpoint"])
        token = re.fullmatch(r"([^!]+)!([^=]+)=(.+)", config["api_token"] or "")
        if address is None or token is None:
            raise RefusedError("endpoint or api_token is not what it should be")
        user, name, secret = token.groups()
        if config["random_vm_ids"]:
            self.first = config["random_vm_id_start"]
        self.api = ProxmoxAPI(
            address[1],
            port=int(address[2]),
            user=user,
            token_name=name,
            token_value=secret,
            # As Go does it; requests itself looks at other names.
            verify_ssl=os.environ.get("SSL_CERT_FILE", True),
            timeout=30,
        )
        self.api._store["session"].trust_env = False

    def free_number(self) -> int:
        """One that nobody has; the real provider takes any."""
        taken = {one["vmid"] for one in self.api.cluster.resources.get(type="vm")}
        return next(number for number in itertools.count(self.first) if number not in taken)


class File(Resource):
    """A file on a storage. What is in it is not looked at again."""

    replace = frozenset({"node_name", "datastore_id", "content_type"})
    defaults: ClassVar = {"overwrite": True, "timeout_upload": 1800}
    kept = frozenset(
        {"id", "file_name", "file_size", "file_tag", "file_modification_date", "content_type"}
    )

    def __init__(self, name: str, block: Block, session: Session) -> None:
        super().__init__(name, block)
        self.session = session

    def create(self, planned: Values, made: Values) -> Values:
        values = known(planned)
        (source,) = values["source_file"]
        storage = self._storage(values)
        with _Named(Path(source["path"]), source["file_name"]) as file:
            done = storage.upload.post(content=values["content_type"], filename=file)
        finish(self.session.api, done)
        name = source["file_name"] or Path(source["path"]).name
        volume = f"{values['datastore_id']}:{values['content_type']}/{name}"
        made |= values | {"id": volume, "file_name": name}
        return dict(made)

    def read(self, state: Values) -> Values | None:
        there = [one["volid"] for one in self._storage(state).content.get()]
        return state if state["id"] in there else None

    def update(self, prior: Values, planned: Values) -> Values:
        return {**prior, **known(planned)}

    def delete(self, state: Values) -> None:
        finish(self.session.api, self._storage(state).content(state["id"]).delete())

    def import_(self, identifier: str) -> Values:
        node, _, volume = identifier.partition("/")
        storage, _, path = volume.partition(":")
        content, _, name = path.partition("/")
        found = {"id": volume, "node_name": node, "datastore_id": storage}
        found |= {"content_type": content, "file_name": name}
        if self.read(found) is None:
            raise RefusedError(f"{identifier} is not there")
        return found

    def _storage(self, values: Values) -> Any:
        return self.session.api.nodes(values["node_name"]).storage(values["datastore_id"])


class _Named:
    """An open file under another name: the library sends the name that it has."""

    def __init__(self, path: Path, name: str | None) -> None:
        self._path, self._name = path, name

    def __enter__(self) -> Any:
        import io

        file = io.BytesIO(self._path.read_bytes())
        file.name = self._name or self._path.name
        return file

    def __exit__(self, *_: object) -> None:
        return


class Vm(Resource):
    """A VM that is a clone: create, clone, configure, start, as the real provider does."""

    replace = frozenset({"node_name", "vm_id", "clone"})
    defaults: ClassVar = {"started": True, "on_boot": True}
    kept = frozenset(
        {"id", "vm_id", "boot_order", "hotplug", "mac_addresses", "ipv4_addresses"}
        | {"ipv6_addresses", "network_interface_names", "network_device"}
    )

    def __init__(self, name: str, block: Block, session: Session) -> None:
        super().__init__(name, block)
        self.session = session

    def create(self, planned: Values, made: Values) -> Values:
        values, node = known(planned), self.session.api.nodes(planned["node_name"])
        (clone,) = values["clone"]
        more = {} if not clone["full"] else {"storage": clone["datastore_id"]}
        for _ in range(1 + 100 * (clone["retries"] or 1)):
            try:
                number = self.session.free_number()
                asked = node.qemu(clone["vm_id"]).clone.post(
                    newid=number, name=values["name"], full=int(clone["full"]), **more
                )
                break
            except ResourceException as error:
                if not re.search("locked|already exists|got timeout", str(error)):
                    raise
                _pause()
        else:
            raise RefusedError(f"{values['name']} cannot be cloned: the template stays locked")
        made |= values | {"id": str(number), "vm_id": number, "mac_addresses": []}
        made |= {"ipv4_addresses": [], "ipv6_addresses": [], "network_interface_names": []}
        finish(self.session.api, asked)
        vm = node.qemu(number)
        for disk in values["disk"] or ():
            finish(self.session.api, vm.resize.put(disk=disk["interface"], size=f"{disk['size']}G"))
        vm.config.put(**_options(values))
        if values["started"]:
            finish(self.session.api, vm.status.start.post())
        return dict(made)

    def read(self, state: Values) -> Values | None:
        api = self.session.api
        if int(state["vm_id"]) not in [
            one["vmid"] for one in api.nodes(state["node_name"]).qemu.get()
        ]:
            return None
        vm = api.nodes(state["node_name"]).qemu(state["vm_id"])
        config = vm.config.get()
        return state | {
            "name": config["name"],
            "description": config.get("description"),
            "tags": sorted(str(config.get("tags", "")).split(";")),
            "started": vm.status.current.get()["status"] == "running",
        }

    def import_(self, identifier: str) -> Values:
        node, _, number = identifier.partition("/")
        found = self.read({"id": number, "vm_id": int(number), "node_name": node})
        if found is None:
            raise RefusedError(f"{identifier} is not there")
        return found

    def update(self, prior: Values, planned: Values) -> Values:
        values = {**prior, **known(planned)}
        vm = self.session.api.nodes(values["node_name"]).qemu(values["vm_id"])
        vm.config.put(**_options(values))
        if values["started"] and not prior["started"]:
            finish(self.session.api, vm.status.start.post())
        return values

    def delete(self, state: Values) -> None:
        vm = self.session.api.nodes(state["node_name"]).qemu(state["vm_id"])
        if vm.status.current.get()["status"] == "running":
            finish(self.session.api, vm.status.stop.post())
        finish(self.session.api, vm.delete(purge=1))


def _pause() -> None:
    import time

    time.sleep(0.1)


def _options(values: Mapping[str, Any]) -> dict[str, Any]:
    (cpu,), (memory,), (nic,) = values["cpu"], values["memory"], values["network_device"]
    network = f"{nic['model']}={nic['mac_address']},bridge={nic['bridge']}"
    options = {
        "name": values["name"],
        "description": values["description"],
        "tags": ";".join(values["tags"]),
        "onboot": int(values["on_boot"]),
        "machine": values["machine"],
        "agent": "enabled=1",
        "cores": cpu["cores"],
        "cpu": cpu["type"],
        "memory": memory["dedicated"],
        "net0": network + (f",tag={nic['vlan_id']}" if nic["vlan_id"] else ""),
    }
    for drive in values["cdrom"] or ():
        options[drive["interface"]] = f"{drive['file_id']},media=cdrom"
    for device in values["hostpci"] or ():
        options[device["device"]] = f"mapping={device['mapping']},pcie={int(device['pcie'])}"
    return options


def with_description(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded schema lacks every key "description", the attribute of a VM among them."""
    whole = copy.deepcopy(dict(schema))
    attributes = whole["resource_schemas"][VM]["block"]["attributes"]
    attributes.setdefault("description", {"optional": True, "type": "string"})
    return whole


def _settled(block: Block) -> dict[str, Any]:
    """For planning: what may be computed within a block is what the configuration says, or null."""
    settled = copy.deepcopy(dict(block))
    for nested in settled.get("block_types", {}).values():
        for attribute in nested["block"].get("attributes", {}).values():
            attribute.pop("computed", None)
    return settled


def servicer() -> Servicer:
    schema, session = with_description(recorded("proxmox")), Session()
    kinds = {VM: Vm, FILE: File}
    resources: dict[str, Resource] = {}
    for name, entry in schema["resource_schemas"].items():
        kind = kinds.get(name)
        block = _settled(entry["block"])
        resources[name] = kind(name, block, session) if kind else Resource(name, block)
    return Servicer(schema, resources, session.configure)
