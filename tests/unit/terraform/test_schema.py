"""The test provider serves the recorded schema of the real one, and plans as it does."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from tf.gen import tfplugin_pb2 as pb
from tf.types import Unknown

from ...provider.incus.provider import SERVED, servicer
from ...provider.resource import Resource, plan
from ...provider.wire import known, null, read, recorded, schema, write

TYPES = {
    "incus_certificate",
    "incus_image",
    "incus_instance",
    "incus_instance_snapshot",
    "incus_network",
    "incus_network_acl",
    "incus_profile",
    "incus_project",
    "incus_storage_pool",
    "incus_storage_volume",
}


def block(message: pb.Schema.Block) -> dict[str, Any]:
    """The block as `tofu providers schema -json` writes it."""
    written: dict[str, Any] = {}
    if message.attributes:
        written["attributes"] = {one.name: attribute(one) for one in message.attributes}
    if message.block_types:
        written["block_types"] = {one.type_name: nested(one) for one in message.block_types}
    return written


def attribute(message: pb.Schema.Attribute) -> dict[str, Any]:
    flags = ("required", "optional", "computed", "sensitive")
    written: dict[str, Any] = {flag: True for flag in flags if getattr(message, flag)}
    if not message.HasField("nested_type"):
        return written | {"type": json.loads(message.type)}
    inner = message.nested_type
    mode = pb.Schema.Object.NestingMode.Name(inner.nesting).lower()
    attributes = {one.name: attribute(one) for one in inner.attributes}
    return written | {"nested_type": {"attributes": attributes, "nesting_mode": mode}}


def nested(message: pb.Schema.NestedBlock) -> dict[str, Any]:
    mode = pb.Schema.NestedBlock.NestingMode.Name(message.nesting).lower()
    limits = {name: getattr(message, name) for name in ("min_items", "max_items")}
    return {"block": block(message.block), "nesting_mode": mode} | {
        name: value for name, value in limits.items() if value
    }


def without_warnings(entry: Any) -> Any:
    """A recorded schema without what the protocol has only as "deprecated"."""
    if isinstance(entry, dict):
        return {
            key: without_warnings(value)
            for key, value in entry.items()
            if key not in ("deprecated", "deprecation_message")
        }
    return entry


def test_all_types_are_served_as_they_were_recorded() -> None:
    answer = servicer().GetProviderSchema(None, None)
    served = {
        name: {"version": one.version, "block": block(one.block)}
        for name, one in answer.resource_schemas.items()
    }

    assert served == recorded("incus")["resource_schemas"]
    assert served.keys() == TYPES
    assert block(answer.provider.block) == recorded("incus")["provider"]["block"]


@pytest.mark.parametrize("provider", ["incus", "proxmox"])
def test_any_recorded_schema_can_be_served(provider: str) -> None:
    for name, entry in recorded(provider)["resource_schemas"].items():
        assert block(schema(entry).block) == without_warnings(entry["block"]), name


@pytest.mark.parametrize("name", sorted(TYPES - SERVED.keys()))
def test_a_type_that_is_not_served_says_so(name: str) -> None:
    served = servicer()
    planned = null(served.resources[name].block)
    request = pb.ApplyResourceChange.Request(
        type_name=name, prior_state=write(None), planned_state=write(planned)
    )

    answer = served.ApplyResourceChange(request, None)

    assert [one.summary for one in answer.diagnostics] == [f"{name} is not served here"]
    assert read(answer.new_state) is None


class Thing(Resource):
    replace = frozenset({"image"})
    defaults: ClassVar = {"running": True}
    kept = frozenset({"architecture"})


def instance(**values: Any) -> dict[str, Any]:
    return null(thing().block) | {"name": "n"} | values


def thing() -> Thing:
    return Thing("incus_instance", recorded("incus")["resource_schemas"]["incus_instance"]["block"])


def test_computed_attributes_are_unknown_before_the_creation() -> None:
    planned, replaced = plan(thing(), None, instance(image="i"), instance(image="i"))

    assert planned is not None
    assert (planned["name"], planned["image"], planned["running"]) == ("n", "i", True)
    assert planned["status"] is Unknown
    assert planned["project"] is None
    assert replaced == ()


def test_nothing_said_nothing_changed() -> None:
    prior = instance(image="i", running=True, status="Running", architecture="x86_64")

    assert plan(thing(), prior, prior, instance(image="i")) == (prior, ())


def test_a_change_in_place_leaves_open_what_the_host_may_change() -> None:
    prior = instance(image="i", running=True, status="Running", architecture="x86_64")
    config = instance(image="i", running=False)

    planned, replaced = plan(thing(), prior, prior | {"running": False}, config)

    assert planned is not None
    assert (planned["status"], planned["architecture"]) == (Unknown, "x86_64")
    assert replaced == ()


def test_another_image_is_another_instance() -> None:
    prior = instance(image="i", running=True)

    _, replaced = plan(thing(), prior, prior | {"image": "j"}, instance(image="j"))

    assert replaced == ("image",)


def test_the_order_of_devices_is_no_change() -> None:
    devices = [{"name": name, "type": "disk", "properties": {"path": f"/{name}"}} for name in "ab"]
    prior = instance(running=True, device=devices)
    config = instance(device=devices[::-1])

    assert plan(thing(), prior, prior | {"device": devices[::-1]}, config) == (prior, ())


def test_a_destroy_needs_no_plan() -> None:
    assert plan(thing(), instance(), None, instance()) == (None, ())


def test_a_creation_that_failed_half_way_is_in_the_state_and_reported() -> None:
    class Half(Thing):
        def create(self, planned: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
            made |= planned
            raise OSError("the line is dead")

    served = servicer()
    served.resources = {"incus_instance": Half("incus_instance", thing().block)}
    request = pb.ApplyResourceChange.Request(
        type_name="incus_instance",
        prior_state=write(None),
        planned_state=write(instance(status=Unknown)),
    )

    answer = served.ApplyResourceChange(request, None)

    assert [one.summary for one in answer.diagnostics] == ["OSError: the line is dead"]
    assert read(answer.new_state) == instance(status=None)


@pytest.mark.parametrize(
    "value",
    [None, "text", 3, True, ["a", Unknown], {"key": Unknown, "none": None}],
    ids=repr,
)
def test_values_survive_the_wire(value: Any) -> None:
    assert read(write(value)) == value


def test_unknown_values_become_null() -> None:
    assert known({"a": Unknown, "b": [Unknown, 1]}) == {"a": None, "b": [None, 1]}
