"""Lines of plans, and dependencies of objects, from recorded and written answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plexctl.errors import PlexError, UsageError
from plexctl.scripts import changes, dependencies, tofu
from plexctl.scripts.tfapply import parse

RECORDED = Path(__file__).parent / "recorded"
STATE = (RECORDED / "state-list.txt").read_text().splitlines()


def test_a_node_is_its_generation_wherever_the_module_is() -> None:
    assert changes.address_of("demo1", STATE) == 'terraform_data.generation["demo1"]'
    deep = [f'module.plex["x"].{one}' for one in STATE]
    assert (
        changes.address_of("demo2", deep) == 'module.plex["x"].terraform_data.generation["demo2"]'
    )
    role = 'module.incus.module.{}.terraform_data.generation["demo2"]'
    ours = [role.format("master"), role.format("worker")]
    assert changes.address_of("demo2", ours) == ours[0]
    assert changes.address_of("a.b", ()) == "a.b"
    assert changes.address_of("n1", ['x_y.z["n1"]', 'data.x_y.z["n1"]']) == 'x_y.z["n1"]'


def test_a_node_that_is_none_or_several_is_refused() -> None:
    with pytest.raises(UsageError, match="no such node"):
        changes.address_of("demo9", STATE)
    with pytest.raises(UsageError, match="several"):
        changes.address_of("n1", ['x_y.z["n1"]', 'x_y.w["n1"]'])


def test_arguments_are_those_of_plan() -> None:
    asked = parse(
        ["-y", "-replace", "demo1", "-replace=a.b", "-var", "x=1", "-chdir=d", "-refresh=false"]
    )
    assert (asked.yes, asked.folder, asked.replace) == (True, "d", ("demo1", "a.b"))
    assert asked.plan == ("-var", "x=1", "-refresh=false")
    for word in ("-out=x", "--json"):
        with pytest.raises(UsageError, match="sets this option itself"):
            parse([word])


def test_the_value_of_an_argument_is_no_argument() -> None:
    assert parse(["-var", "out=5", "-var", "lock=x"]).plan == ("-var", "out=5", "-var", "lock=x")


def test_how_to_lock_and_how_much_at_once_counts_for_apply_too() -> None:
    words = ("-lock-timeout", "5s", "--lock=false", "-var", "lock=x", "-parallelism=2", "-lock")
    assert parse([*words, "-refresh=false"]).both == (
        "-lock-timeout", "5s", "--lock=false", "-parallelism=2", "-lock"
    )  # fmt: skip


def test_a_state_in_which_is_nothing_and_what_is_no_state() -> None:
    assert dependencies.read('{"version": 4, "resources": []}') == {}
    assert dependencies.read('{"format_version": "1.0"}') == {}
    for text in ("", "[]", "hello", '{"a": 1}'):
        with pytest.raises(PlexError, match="no dependencies can be read"):
            dependencies.read(text)
    with pytest.raises(PlexError, match="encrypted"):
        dependencies.read('{"encrypted_data": "x"}')


def test_a_plan_leads_through_variables_and_outputs_of_modules() -> None:
    refers = {"references": ["terraform_data.a.id", "terraform_data.a"]}
    inner = {
        "outputs": {"out": {"expression": {"references": ["x_y.deep"]}}},
        "resources": [
            {
                "address": "x_y.deep",
                "mode": "managed",
                "expressions": {"input": {"references": ["var.given", "each.key", "local.l"]}},
            }
        ],
    }
    root = {
        "resources": [
            {"address": "terraform_data.a", "mode": "managed"},
            {
                "address": "terraform_data.b",
                "mode": "managed",
                "expressions": {"input": {"references": ["module.m.out", "module.m"]}},
                "depends_on": ["data.x_y.z"],
            },
        ],
        "module_calls": {"m": {"expressions": {"given": refers}, "module": inner}},
    }
    plan = json.dumps({"configuration": {"root_module": root}})
    assert dependencies.read(plan) == {
        "module.m.x_y.deep": ("terraform_data.a",),
        "terraform_data.a": (),
        "terraform_data.b": ("data.x_y.z", "module.m.x_y.deep"),
    }


def test_graphs_old_and_new() -> None:
    new = 'digraph G {\n  "x_y.a" [label="x_y.a"];\n  "x_y.b";\n  "x_y.b" -> "x_y.a";\n}\n'
    old = (
        'digraph {\n "[root] x_y.a (expand)" [label = "x_y.a"]\n'
        ' "[root] x_y.b (expand)" -> "[root] x_y.a (expand)"\n'
        ' "[root] x_y.b (expand)" -> "[root] var.n"\n'
        ' "[root] root" -> "[root] x_y.b (expand)"\n'
        ' "[root] x_y.a (expand)" -> "[root] provider[\\"registry.opentofu.org/x/y\\"]"\n}\n'
    )
    expected = {"x_y.a": (), "x_y.b": ("x_y.a",)}
    assert dependencies.read(new) == dependencies.read(old) == expected
    assert dependencies.read(dependencies.as_dot(expected)) == expected
    assert dependencies.as_text(expected, everything=True) == "x_y.a:\n\nx_y.b:\n    - x_y.a"


EVIL = "a\x1b]0;owned\x07\x9b31m\u202eb\n"
SHOWN = "a\\x1b]0;owned\\x07\\x9b31m\\u202eb\\n"


def test_names_in_answers_of_tofu_are_shown_and_never_sent() -> None:
    resource = {"addr": EVIL}
    plan = {"type": "planned_change", "change": {"action": "create", "resource": resource}}
    assert changes.planned(plan) == f"create: {SHOWN}"
    outputs = {"type": "outputs", "outputs": {EVIL: {"action": "update"}}}
    assert changes.planned(outputs) == f"update: output.{SHOWN}"
    start = {"type": "apply_start", "hook": {"action": "create", "resource": resource}}
    assert changes.applied(start) == f"create: {SHOWN}"
    found = {"severity": "warning", "summary": EVIL, "detail": f"one\n{EVIL.strip()}"}
    assert list(tofu.diagnosis(found)) == [
        f"warning: {SHOWN}",
        "  one",
        f"  {SHOWN.removesuffix(chr(92) + 'n')}",
    ]


def test_messages_of_another_shape_are_no_changes() -> None:
    for line in ("", "no JSON", "[" * 3000, '{"type": "outputs", "outputs": {"a": 1}}', "[]"):
        message = tofu.message(line)
        assert changes.planned(message) is None
        assert changes.applied(message) is None
        assert tofu.problem(message) is None
    assert tofu.message("text") == {"type": "other", "@message": "text"}
