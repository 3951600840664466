"""A cluster is at rest once it lacks nothing and has not changed for a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from plexctl.bootstrap import rest
from plexctl.bootstrap.rest import QUIET, TOKENS, Rest, delete_tokens
from plexctl.clients.http_session import url_session
from plexctl.clients.kube.client import Kube, UnreachableError
from plexctl.model.condition import Clock, TimedOutError, wait

Objects = dict[str, dict[str, Any]]
VALUES = {"master.name": "rec1", "plex": "rec"}


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def role(name: str) -> Objects:
    return {f"/registry/roles/{name}": {"kind": "Role", "metadata": {"name": name}}}


@pytest.fixture
def time() -> Time:
    return Time()


def looked_at(
    monkeypatch: pytest.MonkeyPatch, time: Time, looks: Iterator[Objects | UnreachableError]
) -> Rest:
    def read(_: Kube) -> Objects:
        found = next(looks)
        if isinstance(found, UnreachableError):
            raise found
        return found

    monkeypatch.setattr(rest, "read_objects", read)
    monkeypatch.setattr(
        rest, "unfinished", lambda objects: () if len(objects) > 1 else ("Role b is missing",)
    )
    return Rest(
        Kube("https://cluster.test", url_session("https://cluster.test")), VALUES, lambda: time.now
    )


def test_the_wait_begins_again_with_each_change(
    monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    early, late = role("a"), {**role("a"), **role("b"), **role("c")}

    def looks() -> Iterator[Objects | UnreachableError]:
        yield UnreachableError("the API does not answer")
        yield early
        yield from [{**early, **role("b")}] * 5
        began.append(time.now)
        while True:
            yield late

    began: list[float] = []
    found = looked_at(monkeypatch, time, looks())
    wait(found.condition("rec"), Clock(lambda: time.now, time.sleep))

    assert QUIET <= time.now - began[0] < QUIET + 0.7
    assert list(found.recorded["objects"]) == sorted(late)


def test_a_cluster_that_lacks_something_is_not_at_rest(
    monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    def looks() -> Iterator[Objects | UnreachableError]:
        while True:
            yield role("a")

    found = looked_at(monkeypatch, time, looks())
    with pytest.raises(TimedOutError, match="the cluster rec is at rest") as raised:
        wait(found.condition("rec"), Clock(lambda: time.now, time.sleep))
    assert "last observed: Role b is missing" in raised.value.details


class Tokens(Kube):
    """A cluster with two tokens."""

    def __init__(self) -> None:
        super().__init__("https://cluster.test", url_session("https://cluster.test"))
        self.deleted: list[str] = []

    def read(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any]:
        assert path == TOKENS
        assert params == {"fieldSelector": "type=bootstrap.kubernetes.io/token"}
        return {"items": [{"metadata": {"name": f"bootstrap-token-{one}"}} for one in "ab"]}

    def delete(self, path: str) -> None:
        self.deleted.append(path)


def test_all_tokens_are_deleted() -> None:
    kube = Tokens()
    delete_tokens(kube)

    assert kube.deleted == [f"{TOKENS}/bootstrap-token-a", f"{TOKENS}/bootstrap-token-b"]
