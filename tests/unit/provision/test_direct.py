"""The order in which the engine `direct` makes and removes things."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from plexctl.clients.incus.host import IncusHost
from plexctl.errors import PlexError
from plexctl.model.hosts import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.observed import HostState, ObservedImage
from plexctl.plan.resources.types import Instance
from plexctl.provision.direct.engine import DirectEngine
from plexctl.provision.engine import DiffOptions
from tests.null_reporter import NullReporter

from .test_diff import MASTER, OWNER, STORE, WANTED, store, whole


@dataclass
class RecordingIncus:
    """Stands for a host: does nothing, and remembers what was asked of it."""

    host: HostSpec = field(
        default_factory=lambda: HostSpec("local", HostKind.INCUS, "/none", "default", 3)
    )
    calls: list[tuple[str, str]] = field(default_factory=list)
    config: dict[str, dict[str, str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    losing: list[str] = field(default_factory=list)  # what files will not go into, once a name

    def __getattr__(self, call: str) -> Any:
        def record(name: str, *arguments: Any, **more: Any) -> bool:
            with self.lock:
                self.calls.append((call, name))
                if "config" in more:
                    self.config[name] = dict(more["config"])
                if lost := call == "push" and name in self.losing:
                    self.losing.remove(name)
                return not lost

        return record


def applied(
    found: dict[str, HostState], options: DiffOptions, *, wanted: Any = WANTED, losing: Any = ()
) -> RecordingIncus:
    incus = RecordingIncus(losing=list(losing))
    engine = DirectEngine({"local": cast(IncusHost, incus)})
    changes = engine.diff(wanted, found, options)
    engine.apply((), changes, found, "run9", NullReporter(), lambda _: None)
    return incus


def with_image(found: HostState) -> dict[str, HostState]:
    image = ObservedImage("abc", ("plex-kube-0123456789ab",), {}, 1)
    state = HostState("local", found.instances, found.networks, found.profiles, (image,))
    return {"local": state}


def test_an_instance_has_its_files_before_it_starts() -> None:
    incus = applied(with_image(HostState("local", {}, {}, {}, ())), DiffOptions(OWNER))
    order = [call for call in incus.calls if call[1] == "demo2"]

    assert order == [("create", "demo2"), ("push", "demo2"), ("start", "demo2")]
    assert incus.calls[:2] == [("put_network", "plex-demo"), ("put_profile", "plex-demo-kube")]


def test_an_instance_that_files_do_not_go_into_is_made_anew() -> None:
    nothing = with_image(HostState("local", {}, {}, {}, ()))
    made, again = ["create", "push"], ["delete_instance", "create", "push"]

    incus = applied(nothing, DiffOptions(OWNER), losing=["demo2", "demo2"])
    assert calls_of(incus, "demo2") == [*made, *again, *again, "start"]
    assert calls_of(incus, "demo3") == [*made, "start"]

    with pytest.raises(PlexError, match="cannot write files into demo2"):
        applied(nothing, DiffOptions(OWNER), losing=["demo2"] * 9)


def calls_of(incus: RecordingIncus, name: str) -> list[str]:
    return [call for call, what in incus.calls if what == name]


def test_what_is_made_says_whose_it_is_and_by_which_run() -> None:
    incus = applied(with_image(HostState("local", {}, {}, {}, ())), DiffOptions(OWNER))

    assert incus.config["demo3"]["user.plex.lab"] == OWNER.lab
    assert incus.config["demo3"]["user.plex.run"] == "run9"
    assert incus.config["demo3"]["user.plex.parent"] == "run9"
    assert "user.plex.parent" not in incus.config["demo1"]


def test_old_workers_are_gone_before_a_new_master_is_there() -> None:
    options = DiffOptions(OWNER, replace=frozenset({MASTER}))
    calls = applied(with_image(whole()["local"]), options).calls

    made = calls.index(("create", "demo1"))
    for name in ("demo1", "demo2", "demo3"):
        assert calls.index(("delete_instance", name)) < made


def test_workers_that_wait_for_their_master_keep_no_old_one_from_going() -> None:
    """On a host that makes one at a time, which must not be the waiting worker."""
    incus = RecordingIncus(host=HostSpec("local", HostKind.INCUS, "/none", "default", 1))
    engine = DirectEngine({"local": cast(IncusHost, incus)})
    found = with_image(whole()["local"])
    changes = engine.diff(WANTED, found, DiffOptions(OWNER, replace=frozenset({MASTER})))

    def before_start(instance: Instance) -> None:
        assert instance.name == "demo1" or ("start", "demo1") in incus.calls

    engine.apply((), changes, found, "run9", NullReporter(), before_start)
    assert [name for call, name in incus.calls if call == "start"] == ["demo1", "demo2", "demo3"]


def test_a_new_worker_beside_an_old_master_names_the_run_that_made_it() -> None:
    options = DiffOptions(OWNER, replace=frozenset({"instance/local/demo2"}))
    incus = applied(with_image(whole()["local"]), options)

    assert incus.config["demo2"]["user.plex.parent"] == "run1"
    assert {name for _, name in incus.calls} == {"demo2"}


def test_what_is_used_goes_last() -> None:
    calls = applied(whole(), DiffOptions(OWNER), wanted=()).calls

    assert calls[-2:] == [("delete_profile", "plex-demo-kube"), ("delete_network", "plex-demo")]
    assert len(calls) == 5


def test_a_disk_is_there_before_its_instance_and_says_whose_it_is() -> None:
    incus = applied(
        with_image(HostState("local", {}, {}, {}, ())), DiffOptions(OWNER), wanted=STORE
    )
    calls = incus.calls

    assert calls.index(("put_volume", "depot")) < calls.index(("create", "depot"))
    assert ("put_volume", "depot") not in applied(store(), DiffOptions(OWNER), wanted=STORE).calls


def test_a_disk_goes_after_its_instance() -> None:
    calls = applied(store(), DiffOptions(OWNER, volumes=True), wanted=()).calls

    assert calls.index(("delete_instance", "depot")) < calls.index(("delete_volume", "depot"))
    kept = applied(store(), DiffOptions(OWNER), wanted=()).calls
    assert "delete_volume" not in {call for call, _ in kept}
