"""The members of etcd, as a master describes them."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from plexctl.bootstrap.etcd import SCRIPT, Etcd, Member, faults, healthy_without, is_snapshot
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.host import Host
from plexctl.model.nodes import masters
from plexctl.model.streams import Streams

from ..model.test_nodes import DEMO

MASTERS = masters(replace(DEMO, masters=3))


@dataclass
class Fake:
    """A host whose masters answer with what is in `answers`, by their names."""

    answers: dict[str, CommandResult]
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        assert argv[:3] == ("python3", "-ISc", SCRIPT)
        self.calls.append((name, *argv[3:]))
        return self.answers[name]


def said(output: object = "", error: str = "") -> CommandResult:
    return CommandResult((), 1 if error else 0, json.dumps(output), error)


def etcd(**answers: CommandResult) -> tuple[Etcd, Fake]:
    fake = Fake(answers)
    return Etcd("demo", MASTERS, {"local": cast(Host, fake)}), fake


def member(name: str, *, healthy: bool = True, learner: bool = False) -> Member:
    return Member(name, healthy, leads=False, learner=learner)


def test_the_first_master_that_can_lists_the_members() -> None:
    one = {"name": "demo2", "learner": False, "healthy": True, "leads": True}
    members, fake = etcd(demo1=said(error="connection refused"), demo2=said([one]))

    assert members.members() == (Member("demo2", healthy=True, leads=True, learner=False),)
    assert fake.calls == [("demo1", "show"), ("demo2", "show")]


def test_a_member_is_removed_on_another_master() -> None:
    members, fake = etcd(demo2=said(), demo3=said())

    members.remove("demo1")

    assert fake.calls == [("demo2", "leave", "demo1")]


def test_without_a_majority_the_error_says_what_each_master_reports() -> None:
    refused = said(error="Traceback\netcdserver: no leader")
    members, _ = etcd(demo1=refused, demo2=refused, demo3=refused)

    with pytest.raises(PlexError, match="etcd of demo cannot add demo2") as failed:
        members.add("demo2", "https://10.64.42.12:2380")

    assert failed.value.details[0] == "demo1: etcdserver: no leader"
    assert "replace master" in (failed.value.hint or "")


def test_a_master_may_leave_if_the_others_are_more_than_half() -> None:
    healthy = [member(f"demo{number}") for number in (1, 2, 3)]
    lame = [*healthy[:2], member("demo3", healthy=False)]

    assert healthy_without(healthy, "demo1")
    assert healthy_without(lame, "demo3")
    assert not healthy_without(lame, "demo1")
    assert healthy_without([member("demo1"), member("", healthy=False, learner=True)], "demo2")


def test_faults_name_masters_without_a_healthy_member() -> None:
    found = list(faults([member("demo1"), member("demo2", healthy=False)], MASTERS))

    assert found == ["etcd of demo2 does not answer", "demo3 is not a member of etcd"]


def test_the_program_is_valid_and_holds_no_secret() -> None:
    compile(SCRIPT, "script", "exec")


@dataclass
class Streaming:
    """A host whose masters write these bytes, and end with these codes."""

    written: dict[str, tuple[int, bytes, bytes]]
    calls: list[str] = field(default_factory=list)

    def run(
        self, name: str, argv: tuple[str, ...], streams: Streams, *, timeout: float | None = None
    ) -> int:
        assert argv == ("python3", "-ISc", SCRIPT, "save")
        assert timeout
        self.calls.append(name)
        code, out, err = self.written[name]
        pieces = (out[:700], out[700:])
        streams.stdout.write(b"".join(base64.b64encode(piece) + b"\n" for piece in pieces))
        streams.stderr.write(err)
        return code


def snapshot(size: int = 1024) -> bytes:
    return bytes(size) + hashlib.sha256(bytes(size)).digest()


def streaming(**written: tuple[int, bytes, bytes]) -> tuple[Etcd, Streaming]:
    fake = Streaming(written)
    return Etcd("demo", MASTERS, {"local": cast(Host, fake)}), fake


def test_a_snapshot_comes_from_the_first_master_that_has_it_whole() -> None:
    cut = snapshot()[:700]
    members, fake = streaming(
        demo1=(1, b"", b"refused"), demo2=(0, cut, b""), demo3=(0, snapshot(), b"")
    )

    assert members.save() == snapshot()
    assert fake.calls == ["demo1", "demo2", "demo3"]


def test_without_a_whole_snapshot_the_error_says_what_each_master_reports() -> None:
    altered = b"x" + snapshot()[1:]
    members, _ = streaming(
        demo1=(1, snapshot(), b"Traceback\nno leader"), demo2=(0, altered, b""), demo3=(0, b"", b"")
    )

    with pytest.raises(PlexError, match="etcd of demo cannot save a snapshot") as failed:
        members.save()

    assert failed.value.details == (
        "demo1: no leader",
        "demo2: the snapshot arrived damaged",
        "demo3: the snapshot arrived damaged",
    )


@pytest.mark.parametrize(
    "content", [b"", bytes(32), snapshot()[:-1], snapshot() + b"\0", bytes(1024), snapshot(700)]
)
def test_what_is_no_snapshot(content: bytes) -> None:
    assert not is_snapshot(content)
