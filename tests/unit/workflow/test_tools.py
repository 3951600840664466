"""Programs of the depot that run on this machine: verified and executable."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from plexctl.depot.components import SourceName
from plexctl.depot.index import Artifact, Index, Stored
from plexctl.depot.store import Depot
from plexctl.errors import PlexError
from plexctl.model.events import Reporter
from plexctl.workflow.core.context import Context, open_lab
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.images.tools import found_tool, tool

PROGRAM = b"#!/bin/sh\n"


@pytest.fixture
def ctx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "hosts.yaml").write_text("hosts: {local: {}}\n")
    return open_lab(tmp_path, cache=tmp_path / "cache", listener=lambda _: None)


def put(ctx: Context, program: bytes = PROGRAM) -> Stored:
    """Have sops in the depot; its digest is that of PROGRAM."""
    index = Index.of(ctx.cache / "depot")
    digest = hashlib.sha256(PROGRAM).hexdigest()
    file = ctx.cache / "made"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(program)
    index.blobs.take(file, digest)
    path = index.blobs.path(digest)
    artifact = Artifact("sops", "sops", "1", digest, len(program), path, 0o755)
    stored = Stored("sops", "1", SourceName.DIR, (artifact,))
    release = ctx.pins.release(ctx.pins.versions()[0])
    index.put(release.component("sops").key, stored)
    return stored


def test_a_tool_is_a_verified_copy_that_runs(ctx: Context) -> None:
    assert found_tool(ctx, "sops", "sops") is None
    put(ctx)
    program = found_tool(ctx, "sops", "sops")
    assert program is not None
    assert program.name == "sops"
    assert program.read_bytes() == PROGRAM
    assert program.stat().st_mode & 0o777 == 0o755
    assert found_tool(ctx, "sops", "sops") == program
    assert [file.name for file in program.parent.iterdir()] == ["sops"]


def test_a_damaged_tool_is_refused(ctx: Context) -> None:
    put(ctx, b"#!/bin/no\n")
    with pytest.raises(PlexError, match="is damaged"):
        found_tool(ctx, "sops", "sops")
    assert not list((ctx.cache / "tools").rglob("sops"))


def test_the_depot_is_filled_only_if_the_tool_is_missing(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[str] = []

    def fill(
        self: object, release: object, names: Sequence[str], reporter: Reporter
    ) -> tuple[Stored, ...]:
        filled.extend(names)
        return (put(ctx),)

    monkeypatch.setattr(Depot, "fill", fill)
    with start(ctx.lab.state, "fill", WHOLE_LAB, ctx.listener) as run:
        first = tool(ctx, run, "sops", "sops")
        assert tool(ctx, run, "sops", "sops", ctx.pins.versions()[0]) == first
    assert filled == ["sops"]
