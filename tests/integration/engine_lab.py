"""Labs whose plexes OpenTofu or Terraform makes, and what is asked of them again and again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ..provider.mirror import install_mirror
from ..provider.tofu import stored_tofu
from .support import Lab, delete_plex_objects, host_state, uptime


@dataclass(frozen=True)
class Tools:
    """Folders for PATH that have one of the two programs, and where their providers come from."""

    tofu: Path
    terraform: Path | None
    settings: Path

    def environment(self, program: str = "tofu") -> dict[str, str]:
        folder = {"tofu": self.tofu, "terraform": self.terraform}[program]
        return {
            "TF_CLI_CONFIG_FILE": str(self.settings),
            "PATH": f"{folder}:{os.environ['PATH']}",
        }


def installed_tools(folder: Path) -> Tools:
    (folder / "tofu").mkdir()
    stored_tofu(folder / "tofu")
    found = shutil.which("terraform")
    return Tools(folder / "tofu", Path(found).parent if found else None, install_mirror(folder))


@contextmanager
def lab_with(plex: str, tools: Tools, folders: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with a plex that is not up; OpenTofu is what it finds first. Nothing is left of it."""
    lab = Lab(folders.mktemp("lab"), folders.mktemp("home"), environment=tools.environment())
    (lab.root / "clusters").mkdir()
    delete_plex_objects(plex)
    lab.run("init", plex)
    yield lab
    lab.run("destroy", plex, "-y", code=None)


def folder_of(lab: Lab, plex: str) -> Path:
    """Where OpenTofu works."""
    return lab.root / ".plexctl" / "plexes" / plex / "tofu"


def with_terraform(lab: Lab, tools: Tools) -> Lab:
    """The same lab of somebody who has Terraform instead."""
    if tools.terraform is None:
        pytest.skip("there is no terraform here")
    return replace(lab, environment=tools.environment("terraform"))


def uptimes(plex: str) -> dict[str, float]:
    """Of all nodes that are there: see `support.uptime`."""
    found = host_state().instances.items()
    return {name: uptime(name) for name, one in sorted(found) if one.tags.get("plex") == plex}


def changed(lab: Lab, *words: str) -> dict[str, str]:
    """The nodes that a verb has changed, each with the action."""
    answer = lab.ask(*words)
    return {one["name"]: one["action"] for one in answer["changes"] if one["kind"] == "instance"}


def nothing_to_do(lab: Lab, plex: str, engine: str) -> None:
    also = "" if engine == "direct" else "; OpenTofu has no changes"
    assert lab.run("plan", plex).out == f"{plex}: nothing to do{also}\n"
