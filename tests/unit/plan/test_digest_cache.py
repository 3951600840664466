"""A plan with cached digests compares like the plan with files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plexctl.keys.seed import RootSeed
from plexctl.model.folder import Folder
from plexctl.model.host_spec import HostFacts
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.plan.inputs import Inputs
from plexctl.plan.plan import plan_plex
from plexctl.plan.resources.types import resource_hash
from plexctl.workflow.core import digest_cache
from plexctl.workflow.core.digest_cache import known_digests, store_digests

Changed = Callable[[Plex, Inputs], tuple[Plex, Inputs]]


def other_seed(plex: Plex, inputs: Inputs) -> tuple[Plex, Inputs]:
    return plex, replace(inputs, seed=RootSeed(Secret(b"another seed, which has 32 bytes")))


def other_facts(plex: Plex, inputs: Inputs) -> tuple[Plex, Inputs]:
    return plex, replace(inputs, facts={"local": HostFacts(2, True, 2, 24 << 30)})


def test_a_plan_with_digests_has_the_hashes_of_the_one_with_files(
    demo: Plex, inputs: Inputs, tmp_path: Path
) -> None:
    whole = plan_plex(demo, inputs)
    store_digests(Folder(tmp_path, ("demo",)), whole, inputs)
    known = known_digests(Folder(tmp_path, ("demo",)), demo, inputs)
    light = plan_plex(demo, inputs, known)

    assert known is not None
    assert all(not instance.boot for instance in light.instances)
    assert [resource_hash(r) for r in light.resources] == [
        resource_hash(r) for r in whole.resources
    ]


def test_a_plan_with_digests_sees_other_changes(demo: Plex, inputs: Inputs, tmp_path: Path) -> None:
    """Another image, with the same files."""
    store_digests(Folder(tmp_path), plan_plex(demo, inputs), inputs)
    baked = replace(inputs, baked={("local", "kube"): "plex-kube-ba9876543210"})
    light = plan_plex(demo, baked, known_digests(Folder(tmp_path), demo, baked))

    assert light.instances[1].known
    assert resource_hash(light.instances[1]) == resource_hash(plan_plex(demo, baked).instances[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda plex, inputs: (replace(plex, epoch=2), inputs),
        lambda plex, inputs: (replace(plex, workers=3), inputs),
        other_seed,
        other_facts,
    ],
)
def test_a_change_of_any_input_makes_the_digests_unknown(
    demo: Plex, inputs: Inputs, tmp_path: Path, change: Changed
) -> None:
    store_digests(Folder(tmp_path), plan_plex(demo, inputs), inputs)

    assert known_digests(Folder(tmp_path), *change(demo, inputs)) is None


def test_a_change_of_the_code_makes_the_digests_unknown(
    demo: Plex, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_digests(Folder(tmp_path), plan_plex(demo, inputs), inputs)
    monkeypatch.setattr(digest_cache, "_code", lambda: iter([("plan/boot.py", 1, 1)]))

    assert known_digests(Folder(tmp_path), demo, inputs) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"inputs": 1}'])
def test_a_broken_file_is_ignored(demo: Plex, inputs: Inputs, tmp_path: Path, content: str) -> None:
    (tmp_path / digest_cache.FILE).write_text(content)

    assert known_digests(Folder(tmp_path), demo, inputs) is None
