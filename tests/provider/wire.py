"""A recorded schema, as `tofu providers schema -json` prints it, in the terms of the protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.types import Unknown

Block = Mapping[str, Any]
"""`attributes` and `block_types`, by name."""
Values = dict[str, Any]
"""An object: what the names of a block are; None is null, `Unknown` is not known yet."""

SCHEMAS = Path(__file__).parent / "schemas"
_OBJECTS = {"single": "SINGLE", "list": "LIST", "set": "SET", "map": "MAP"}


def recorded(provider: str) -> Mapping[str, Any]:
    """The schema of "incus" or "proxmox": `provider` and `resource_schemas`."""
    return dict(json.loads((SCHEMAS / f"{provider}.json").read_text()))


def schema(entry: Mapping[str, Any]) -> pb.Schema:
    """An entry with `version` and `block`."""
    return pb.Schema(version=entry["version"], block=_block(entry["block"]))


def _block(block: Block) -> pb.Schema.Block:
    return pb.Schema.Block(
        attributes=_attributes(block.get("attributes", {})),
        block_types=[
            pb.Schema.NestedBlock(
                type_name=name,
                block=_block(nested["block"]),
                nesting=pb.Schema.NestedBlock.NestingMode.Value(nested["nesting_mode"].upper()),
                min_items=nested.get("min_items", 0),
                max_items=nested.get("max_items", 0),
            )
            for name, nested in block.get("block_types", {}).items()
        ],
    )


def _attributes(attributes: Mapping[str, Any]) -> list[pb.Schema.Attribute]:
    return [_attribute(name, fields) for name, fields in attributes.items()]


def _attribute(name: str, fields: Mapping[str, Any]) -> pb.Schema.Attribute:
    flags = {
        flag: fields.get(flag, False) for flag in ("required", "optional", "computed", "sensitive")
    }
    if "nested_type" not in fields:
        written = json.dumps(fields["type"], separators=(",", ":")).encode()
        return pb.Schema.Attribute(name=name, type=written, **flags)
    nested = fields["nested_type"]
    kind = pb.Schema.Object.NestingMode.Value(_OBJECTS[nested["nesting_mode"]])
    inner = pb.Schema.Object(attributes=_attributes(nested["attributes"]), nesting=kind)
    return pb.Schema.Attribute(name=name, nested_type=inner, **flags)


def null(block: Block) -> Values:
    """An object of a block's type in which nothing is set."""
    return dict.fromkeys(block.get("attributes", {})) | {
        name: [] if nested["nesting_mode"] in ("list", "set") else None
        for name, nested in block.get("block_types", {}).items()
    }


def read(value: pb.DynamicValue) -> Any:
    if value.json:
        return json.loads(value.json)
    return msgpack.unpackb(value.msgpack, ext_hook=_unknown) if value.msgpack else None


def write(value: Any) -> pb.DynamicValue:
    return pb.DynamicValue(msgpack=msgpack.packb(value, default=_extension))


def _unknown(code: int, data: bytes) -> Any:
    # Code 12 is an unknown value of which something is known, such as that it is not null.
    return Unknown if code in (0, 12) else msgpack.ExtType(code, data)


def _extension(value: Any) -> Any:
    if value is Unknown:
        return msgpack.ExtType(0, b"\x00")
    raise TypeError(f"{value!r} cannot be written")


def known(value: Any) -> Any:
    """The same with null for all that is not known yet."""
    if value is Unknown:
        return None
    if isinstance(value, dict):
        return {key: known(inner) for key, inner in value.items()}
    return [known(inner) for inner in value] if isinstance(value, list) else value


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal, whatever the order in lists."""
    return bool(_plain(left) == _plain(right))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((key, _plain(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return tuple(sorted((_plain(inner) for inner in value), key=repr))
    return repr(value)
