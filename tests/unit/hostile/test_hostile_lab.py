"""A lab that tries everything at once: no verb changes a file outside of it."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fake_incus import FakeIncus
from tests.unit.cli.conftest import Plexctl

from .conftest import Outside

VERBS = [
    "list",
    "use demo",
    "plan demo",
    "status demo",
    "up demo",
    "scale demo --workers 3 -y",
    "replace demo1 --plex demo -y",
    "engine tofu demo",
    "engine direct demo",
    "destroy demo -y",
    "destroy docs -y",
    "destroy demo --images -y",
    "timeline",
    "timeline --list",
    "timeline up",
    "kubeconfig demo",
    "inventory",
    "inventory --host demo1",
    "ssh demo1",
    "exec demo1 -- true",
    "logs demo1",
    "logs demo1 --follow",
    "init",
    "init other",
    "init demo --gitops --app metrics-server",
    "import plexhocs",
    "export plexhocs",
    "host list",
    "host remove local",
    "flux push demo",
    "flux status demo",
    "flux key demo",
    "flux token demo",
    "registry status",
    "registry destroy -y",
    "secret encrypt apps/secret.yaml",
    "secret rotate",
    "render",
]
"""Those that need neither a network nor a terminal."""

NEEDS_NETWORK = ("secret", "render", "up demo", "scale", "replace")
"""With a state folder of ours, these fill the depot before they touch a file of the lab."""


IN_STATE = {
    ".plexctl/plexes": "",
    ".plexctl/plexes/demo": ".ssh",
    ".plexctl/plexes/demo/tofu": "docs",
    ".plexctl/plexes/demo/boot.json": ".bashrc",
    ".plexctl/plexes/demo/id_ed25519": ".ssh/id_ed25519",
    ".plexctl/hosts": ".ssh",
    ".plexctl/runs": "docs",
    ".plexctl/locks": "docs",
    ".plexctl/locks/demo.lock": ".bashrc",
    ".plexctl/schemas": "docs",
    ".plexctl/schemas/plex.schema.json": ".bashrc",
    ".plexctl/current": ".bashrc",
    ".plexctl/.gitignore": ".bashrc",
}
IN_LAB = {
    "depot.lock": ".bashrc",
    "tofu-incus.lock.hcl": ".bashrc",
    "terraform-incus.lock.hcl": ".bashrc",
    ".gitignore": ".bashrc",
    "clusters/demo/source-token.age": ".bashrc",
    "clusters/hosts": "docs",
    "clusters/other": "docs",
    "apps/secret.yaml": "other/x.yaml",
    "apps/metrics-server": "docs",
    "apps/hello-world/notes.txt": "age.key",
    "apps/hello-world/rendered": "docs",
    "apps/linked": ".ssh",
    "roles/kubenode/files/key": "age.key",
}
"""Links wherever plexctl writes, reads or deletes, and where in the user's files they lead."""


def plant(lab: Path, outside: Outside, links: Mapping[str, str]) -> None:
    for name, target in links.items():
        if (lab / name).parent.is_symlink():
            continue  # of two such links, one is enough
        (lab / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (lab / name).is_dir():
            shutil.rmtree(lab / name)
        (lab / name).unlink(missing_ok=True)
        (lab / name).symlink_to(outside.root / target)


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", fail)
    monkeypatch.setattr("plexctl.clients.process.replace", lambda _: sys.exit(0))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"token")))


@pytest.mark.parametrize("verb", VERBS)
def test_a_cloned_lab_changes_nothing_of_the_user(
    clone: Path,
    plexctl: Plexctl,
    outside: Outside,
    server: FakeIncus,
    no_programs: None,
    verb: str,
) -> None:
    """Its state folder came with the repository."""
    plant(clone, outside, IN_STATE | IN_LAB)
    before = outside.snapshot()
    ended = plexctl(*verb.split())
    assert outside.snapshot() == before
    assert "bug in plexctl" not in ended.err
    assert "the user's own key" not in ended.out + ended.err


@pytest.mark.parametrize("verb", [one for one in VERBS if not one.startswith(NEEDS_NETWORK)])
def test_links_that_came_later_change_nothing_of_the_user(
    lab: Path,
    plexctl: Plexctl,
    outside: Outside,
    server: FakeIncus,
    no_programs: None,
    verb: str,
) -> None:
    """plexctl created the state folder, and a `git pull` has put a link into the lab."""
    before = outside.snapshot()
    plant(lab, outside, IN_LAB)
    for name, target in IN_STATE.items():
        plant(lab, outside, {name: target})
        ended = plexctl(*verb.split())
        assert outside.snapshot() == before, name
        assert "bug in plexctl" not in ended.err
        assert "the user's own key" not in ended.out + ended.err
        (lab / name).unlink(missing_ok=True)
