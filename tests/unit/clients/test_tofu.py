"""Calls of OpenTofu, with recorded output."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plexctl.clients.tofu import KEY, KNOWN, PLAN, STATE, Event, Tofu
from plexctl.errors import PlexError

RECORDED = Path(__file__).parent / "recorded"
INCUS = "module.incus.incus_instance"
Fake = Callable[..., Tofu]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A program that answers as OpenTofu has answered, and writes down what it was asked."""

    def make(answer: str = "", code: int = 0, *, name: str = "tofu", more: str = "") -> Tofu:
        program = tmp_path / name
        asked = shlex.quote(str(tmp_path / "asked"))
        said = f"cat {shlex.quote(str(RECORDED / answer))}" if answer else ":"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {asked}\nenv > {asked}.env\n{said}\n{more}\nexit {code}\n'
        )
        program.chmod(0o755)
        (tmp_path / "folder").mkdir(exist_ok=True)
        return Tofu(program, tmp_path / "folder", 7)

    return make


def asked(tofu: Tofu) -> list[str]:
    file = tofu.program.parent / "asked"
    return file.read_text().splitlines() if file.exists() else []


def test_arguments_of_each_call(fake: Fake) -> None:
    tofu = fake()
    tofu.init()
    tofu.plan(targets=['a.b["c d"]', "e.f"])
    tofu.apply_plan(lambda _: None)

    init, plan, apply = (set(line.split(" ")[1:]) for line in asked(tofu))
    assert [line.split()[0] for line in asked(tofu)] == ["init", "plan", "apply"]
    assert init == {"-json", "-input=false"}
    assert {f"-out={PLAN}", "-detailed-exitcode", "-json", "-parallelism=7"} <= plan
    assert {"-lock-timeout=60s", '-target=a.b["c', 'd"]', "-target=e.f", "-input=false"} <= plan
    assert {PLAN, "-json", "-parallelism=7", "-lock-timeout=60s", "-input=false"} == apply


def test_it_never_prompts_and_shows_no_key(fake: Fake) -> None:
    tofu = fake()
    tofu.init()
    shown = (tofu.program.parent / "asked.env").read_text()

    assert "TF_INPUT=0" in shown
    assert "CHECKPOINT_DISABLE=1" in shown
    assert KEY not in shown


def test_a_plan_lists_its_changes(fake: Fake) -> None:
    created = fake("tofu-plan-create.jsonl", 2).plan()
    replaced = fake("tofu-plan-replace.jsonl", 2).plan()
    taken = {one.address: one.action for one in fake("tofu-plan-import.jsonl", 2).plan()}

    assert {one.action for one in created} == {"create"}
    assert len(created) == 7
    found = {one.address: (one.action, one.reason) for one in replaced}
    assert found[f'{INCUS}.worker["demo2"]'] == ("replace", "replace_triggered_by")
    assert f'{INCUS}.master["demo1"]' not in found
    assert taken[f'{INCUS}.master["demo1"]'] == "import"
    assert taken['module.incus.incus_network.network["local/plex-demo"]'] == "update"
    assert fake().plan() == ()


def test_changes_are_reported_while_they_happen(fake: Fake) -> None:
    events: list[Event] = []
    fake("tofu-apply-create.jsonl").apply_plan(events.append)

    done = [
        one["hook"]["resource"]["addr"] for one in events if one.get("type") == "apply_complete"
    ]
    assert done[-2:] == [f'{INCUS}.master["demo1"]', f'{INCUS}.worker["demo2"]']


def test_an_error_has_the_diagnostics_of_opentofu(fake: Fake) -> None:
    with pytest.raises(PlexError) as caught:
        fake("tofu-init-no-registry.jsonl", 1).init()

    assert caught.value.summary == "tofu init failed"
    assert caught.value.details[0] == "Failed to resolve provider packages"
    assert "could not connect to registry.opentofu.org" in caught.value.details[1]
    assert "TF_CLI_CONFIG_FILE" in str(caught.value.hint)


def test_output_that_is_no_json_is_reported_too(fake: Fake) -> None:
    with pytest.raises(PlexError) as caught:
        fake("", 1, more="echo 'panic: runtime error' >&2").plan()

    assert caught.value.details == ("panic: runtime error",)


def test_a_killed_run_is_reported_as_killed(fake: Fake) -> None:
    with pytest.raises(PlexError, match=r"was killed.*SIGKILL"):
        fake("", more="kill -9 $$").plan()


def test_the_state_is_listed_only_when_it_has_changed(fake: Fake) -> None:
    tofu = fake("", more="echo 'a.b[\"c\"]'")
    assert tofu.addresses() == frozenset()
    (tofu.folder / STATE).write_text("")
    assert tofu.addresses() == frozenset()
    assert asked(tofu) == []

    (tofu.folder / STATE).write_text("one")
    assert tofu.addresses() == tofu.addresses() == {'a.b["c"]'}
    assert asked(tofu) == ["state list"]
    (tofu.folder / STATE).write_text("two")
    assert tofu.addresses() == {'a.b["c"]'}
    assert len(asked(tofu)) == 2
    other = fake("", name="terraform", more="echo 'd.e'")
    assert other.addresses() == {"d.e"}
    assert (tofu.folder / KNOWN).stat().st_mode & 0o777 == 0o600


def test_a_state_that_cannot_be_read_is_an_error(fake: Fake) -> None:
    tofu = fake("", 1, more="echo 'Error: wrong key' >&2")
    (tofu.folder / STATE).write_text("one")

    with pytest.raises(PlexError, match="the state cannot be read"):
        tofu.addresses()


def test_forgetting_no_address_runs_nothing(fake: Fake) -> None:
    tofu = fake()
    tofu.forget([])
    tofu.forget(['a.b["c"]'])

    (line,) = asked(tofu)
    assert line.startswith("state rm ")
    assert 'a.b["c"]' in line


def test_missing_providers_are_detected(fake: Fake, tmp_path: Path) -> None:
    """Those of a mirror are links."""
    tofu = fake()
    assert not tofu.has_providers()
    mirror = tmp_path / "mirror" / "linux_amd64"
    mirror.mkdir(parents=True)
    (mirror / "terraform-provider-incus_v1.1.0").touch()
    place = tofu.folder / ".terraform/providers/registry.opentofu.org/lxc/incus/1.1.0"
    place.mkdir(parents=True)
    (place / "linux_amd64").symlink_to(mirror)
    assert tofu.has_providers()

    mirror.rename(tmp_path / "elsewhere")
    assert not tofu.has_providers()


def test_recorded_output_is_parsed() -> None:
    for file in RECORDED.glob("tofu-*.jsonl"):
        first: dict[str, Any] = json.loads(file.read_text().splitlines()[0])
        assert first["ui"] == "1.2", file
