"""The calls of the engine `tofu` to OpenTofu, which is a small program here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from plexctl.clients.tofu import PLAN, STATE
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.condition import Condition, Observation
from plexctl.model.folder import Folder
from plexctl.model.observed import HostState, ObservedImage
from plexctl.model.secret import Secret
from plexctl.plan.resources.types import Resource
from plexctl.provision.change import DiffOptions
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import ApplyJob
from plexctl.provision.start_gate import StartGate
from plexctl.provision.tofu.engine import TofuEngine
from plexctl.provision.tofu.folder import IMPORTS, TofuFolder
from plexctl.provision.tofu.incus.addresses import addresses
from plexctl.provision.tofu.incus.provider import IncusProvider
from tests.fake_incus import FakeIncus
from tests.null_reporter import NullReporter

from .test_diff import OPTIONS, OWNER, WANTED, instance, observed, state, whole

IMAGE = ObservedImage("f", ("plex-kube-0123456789ab",), {}, 0)
WORKER = 'module.incus.module.worker.incus_instance.node["demo2"]'
OF_WORKER = sorted(addresses((instance(2),)))

# It writes down what it is asked; each plan takes the next of the answers that lie ready.
PROGRAM = """#!/bin/sh
here={here}
echo "$*" >> $here/asked
case $1 in
  plan)
    ls $here/boot > $here/observed-by-plan 2>/dev/null
    readlink /proc/$$/fd/* > $here/open-in-plan
    answer=$here/plan-$(grep -c ^plan $here/asked)
    [ -e $answer ] && cat $answer && exit 2 ;;
  state)
    [ $2 = list ] && {{ cat $here/listed || exit 1; }} ;;
esac
exit 0
"""


class Server(FakeIncus):
    """It says whether nodes have their files."""

    booted = True

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        return CommandResult((), 0 if self.booted else 1, "", "")


@dataclass(frozen=True)
class Estate:
    """An engine, and the folder that its OpenTofu runs in."""

    engine: TofuEngine
    folder: TofuFolder
    incus: Server

    def knows(self, *known: str) -> None:
        self.folder.files.create()
        (self.folder.root / STATE).write_text("a state")
        (self.folder.path / "listed").write_text("".join(f"{one}\n" for one in known))

    def plans(self, number: int, *changes: tuple[str, str]) -> None:
        """Set the result of the plan of that number: actions and addresses."""
        lines = (
            json.dumps(
                {
                    "type": "planned_change",
                    "change": {"action": action, "resource": {"addr": address}},
                }
            )
            for action, address in changes
        )
        (self.folder.path / f"plan-{number}").write_text("".join(f"{one}\n" for one in lines))

    def apply(self, found: dict[str, HostState], options: DiffOptions = OPTIONS) -> list[str]:
        """Apply, and return the commands of OpenTofu in short form."""
        changes = self.engine.diff(WANTED, found, options)
        self.engine.apply(ApplyJob(WANTED, changes, found, "run9", NullReporter()))
        return self.asked()

    def asked(self) -> list[str]:
        lines = (self.folder.path / "asked").read_text().splitlines()
        words = ((one for one in line.split() if not one.startswith("-")) for line in lines)
        return [" ".join(one).removesuffix(f" {PLAN}") for one in words]

    def imported(self) -> set[str]:
        return {one["to"] for one in json.loads((self.folder.root / IMPORTS).read_text())["import"]}


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    folder = TofuFolder(Folder(tmp_path, ("tofu",), private=True))
    folder.files.create()
    for name in ("modules", "incus"):
        (tmp_path / "terraform" / name).mkdir(parents=True)
    program = tmp_path / "tofu.sh"
    program.write_text(PROGRAM.format(here=folder.path))
    program.chmod(0o755)
    incus = Server(state=whole()["local"])
    direct = DirectEngine({"local": incus})
    engine = TofuEngine(
        program=program,
        modules=tmp_path / "terraform",
        folder=folder,
        key=Secret(bytes(32)),
        key_command=("true",),
        provider=IncusProvider("demo", {"local": incus.spec}, None, direct),
        direct=direct,
    )
    return Estate(engine, folder, incus)


def with_image(found: dict[str, HostState]) -> dict[str, HostState]:
    return {name: replace(one, images=(IMAGE,)) for name, one in found.items()}


def test_a_plex_that_is_as_wanted_is_only_planned(estate: Estate) -> None:
    estate.knows(*addresses(WANTED))

    assert estate.apply(whole()) == ["state list", "init", "plan"]
    assert estate.incus.calls == []


def test_a_plan_with_changes_is_applied(estate: Estate) -> None:
    estate.knows(*addresses(WANTED))
    estate.plans(1, ("replace", WORKER))
    found = with_image(whole())
    options = replace(OPTIONS, replace=frozenset({instance(2).key}))

    assert estate.apply(found, options)[-2:] == ["plan", "apply"]


def test_a_node_that_is_not_in_the_state_is_imported(estate: Estate) -> None:
    estate.knows(*(addresses(WANTED) - set(OF_WORKER)))
    estate.plans(1, ("create", OF_WORKER[1]))

    asked = estate.apply(whole())

    assert asked == ["state list", "init", "plan", "apply", "plan"]
    assert not (estate.folder.root / IMPORTS).exists()


def test_a_node_that_another_machine_replaced_is_imported_again(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run is another than the one in the state: OpenTofu alone would replace it."""
    imported: list[set[str]] = []
    write = TofuFolder.write_imports

    def look(folder: TofuFolder, blocks: list[dict[str, str]]) -> None:
        write(folder, blocks)
        imported.append(estate.imported())

    monkeypatch.setattr(TofuFolder, "write_imports", look)
    estate.knows(*addresses(WANTED))
    estate.plans(1, ("replace", OF_WORKER[1]), ("replace", WORKER))

    asked = estate.apply(whole())

    forgotten = next(one for one in asked if one.startswith("state rm"))
    assert forgotten.split()[2:] == OF_WORKER
    assert imported == [{WORKER}]
    assert "apply" not in asked[: asked.index(forgotten)]
    assert asked[-1] == "plan"


def test_a_preview_lists_the_import_of_such_a_node(estate: Estate) -> None:
    estate.knows(*addresses(WANTED))
    estate.plans(1, ("replace", WORKER))

    planned, _ = estate.engine.preview(
        ApplyJob(WANTED, (), whole(), "plan", NullReporter()), shown=True
    )

    assert [(one.action, one.address) for one in planned] == [("import", WORKER)]
    assert "apply" not in estate.asked()


def test_a_change_in_place_is_applied_without_a_change_of_plexctl(estate: Estate) -> None:
    estate.knows(*addresses(WANTED))
    estate.plans(1, ("update", WORKER))

    assert estate.apply(whole())[-2:] == ["plan", "apply"]


def test_an_unreadable_state_is_put_aside(estate: Estate) -> None:
    estate.knows()
    (estate.folder.path / "listed").unlink()

    estate.apply(whole())

    assert not (estate.folder.root / STATE).exists()
    assert (estate.folder.root / f"{STATE}.unreadable").read_text() == "a state"


def test_nothing_is_applied_without_an_image(estate: Estate) -> None:
    estate.knows()
    with pytest.raises(PlexError, match="host local has no image plex-kube-0123456789ab"):
        estate.apply(state())

    assert "apply" not in estate.asked()


def test_a_destroy_needs_no_opentofu(estate: Estate) -> None:
    changes = estate.engine.diff((), whole(), OPTIONS)
    estate.engine.apply(ApplyJob((), changes, whole(), "run9", NullReporter()))

    assert not (estate.folder.path / "asked").exists()
    deleted = set(estate.incus.names("instances.delete"))
    assert deleted == {"demo1", "demo2", "demo3"}


def test_boot_files_exist_only_during_a_run(estate: Estate) -> None:
    estate.knows(*addresses(WANTED))
    estate.apply(whole())

    listed = (estate.folder.path / "observed-by-plan").read_text().split()
    assert listed == ["demo1.tar", "demo2.tar", "demo3.tar"]
    opened = (estate.folder.path / "open-in-plan").read_text().split()
    # Of its output, and of what deletes the boot files after a kill of plexctl and OpenTofu.
    assert len({one for one in opened if one.startswith("pipe:")}) == 2
    assert not estate.folder.boot.exists()
    assert not (estate.folder.root / IMPORTS).exists()


@pytest.mark.parametrize(("booted", "deleted"), [(True, []), (False, ["demo2"])])
def test_a_node_without_its_files_that_is_not_in_the_state_is_deleted(
    estate: Estate, booted: bool, deleted: list[str]
) -> None:
    """It was killed before it had given them."""
    estate.incus.booted = booted
    estate.knows(*(addresses(WANTED) - set(OF_WORKER)))

    estate.apply(with_image(whole()))

    assert estate.incus.names("instances.delete") == deleted


def test_old_workers_are_deleted_before_many_start_with_a_new_master(estate: Estate) -> None:
    wanted: tuple[Resource, ...] = (*WANTED, *(instance(number) for number in range(4, 8)))
    found = with_image(state(*(observed(instance(number)) for number in range(1, 8))))
    estate.knows(*addresses(wanted))
    options = DiffOptions(OWNER, frozenset({instance(1).key}))
    changes = estate.engine.diff(wanted, found, options)
    asked_before: list[str] = []

    def api_answers() -> Observation:
        asked_before.extend(estate.asked())
        return Observation(True)

    gate = StartGate(frozenset(), Condition("the API answers", api_answers, 0))
    estate.engine.apply(ApplyJob(wanted, changes, found, "run9", NullReporter(), gate))

    lines = (estate.folder.path / "asked").read_text().splitlines()
    first, second = (line for line in lines if line.startswith("plan"))
    assert "-target=" in first
    assert 'module.master.incus_instance.node["demo1"]' in first
    assert "worker" not in first
    assert "-target=" not in second
    assert [one.split()[0] for one in asked_before if one.startswith("plan")] == ["plan"]
    deleted = estate.incus.names("instances.delete")
    assert sorted(deleted) == [f"demo{number}" for number in range(2, 8)]


@pytest.fixture
def locked(estate: Estate, tmp_path: Path) -> Iterator[tuple[Estate, Path]]:
    """An OpenTofu that locks the providers that it finds, in the lab's folder."""
    folder = replace(estate.folder, locks=tmp_path)
    program = estate.engine.program
    text = program.read_text().replace(
        "case $1 in", f"case $1 in\n  init) echo found >> {folder.root}/.terraform.lock.hcl ;;"
    )
    program.write_text(text)
    yield Estate(replace(estate.engine, folder=folder), folder, estate.incus), tmp_path


def test_the_lab_keeps_the_lock_of_providers(locked: tuple[Estate, Path]) -> None:
    estate, lab = locked
    estate.knows(*addresses(WANTED))
    estate.apply(whole())
    lock = lab / "tofu.sh-incus.lock.hcl"
    assert lock.read_text() == "found\n"

    # Another plex, or a clone of the lab: OpenTofu gets the lab's lock.
    (estate.folder.root / ".terraform.lock.hcl").write_text("other\n")
    lock.write_text("locked\n")
    estate.apply(whole())
    assert (estate.folder.root / ".terraform.lock.hcl").read_text() == "locked\nfound\n"
    assert lock.read_text() == "locked\nfound\n"
