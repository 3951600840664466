"""OpenTofu as a user runs it: a folder with the modules and what was applied from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from plexctl.config.builtin import builtin
from plexctl.depot.pins import load_pins
from plexctl.depot.store import Depot
from tests.null_reporter import NullReporter

from .mirror import install_mirror

SECONDS = 300
CHANGES = 2
"""With -detailed-exitcode: the plan is not empty."""


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Tofu:
    """`folder` is a copy of terraform/incus beside a copy of the modules, or another root."""

    program: Path
    folder: Path
    settings: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command and return at once. It is a process of its own, without a shell."""
        return subprocess.Popen(
            [self.program, f"-chdir={self.folder}", *words],
            env={
                **os.environ,
                "CHECKPOINT_DISABLE": "1",
                "TF_CLI_CONFIG_FILE": str(self.settings),
                "TF_IN_AUTOMATION": "1",
                "TF_INPUT": "0",
                "TF_CLI_ARGS": "-no-color",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int | None = 0) -> Answer:
        """Run a command to its end; it must end with `code` unless that is None."""
        process = self.start(*words)
        out, err = process.communicate(timeout=SECONDS)
        answer = Answer(process.returncode, out, err)
        assert code is None or answer.code == code, f"tofu {words}: {answer.out}{answer.err}"
        return answer

    def planned(self, *words: str) -> dict[str, str]:
        """The actions of a plan, by address without "module.incus.": "create", "replace", …

        What is left as it is is not among it; what is imported and not changed is "import".
        """
        lines = self.run("plan", "-json", *words).out.splitlines()
        messages = [json.loads(line) for line in lines]
        return {
            one["change"]["resource"]["addr"].removeprefix("module.incus."): one["change"]["action"]
            for one in messages
            if one["type"] == "planned_change"
        }

    def is_done(self) -> bool:
        """Whether a plan is empty."""
        answer = self.run("plan", "-detailed-exitcode", code=None)
        assert answer.code in (0, CHANGES), answer
        return answer.code == 0

    def write(self, variables: Mapping[str, Any]) -> None:
        self.write_json("terraform.tfvars.json", variables)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        (self.folder / name).write_text(json.dumps(content, indent=2))

    @contextmanager
    def importing(self, identifiers: Mapping[str, str]) -> Iterator[None]:
        """With import blocks: addresses without "module.incus.", and identifiers."""
        blocks = [
            {"to": f"module.incus.{address}", "id": one} for address, one in identifiers.items()
        ]
        self.write_json("imports.tf.json", {"import": blocks})
        try:
            yield
        finally:
            (self.folder / "imports.tf.json").unlink()


def stored_tofu(folder: Path) -> Path:
    """The pinned tofu of the user's depot, which is filled with it if it is not there."""
    pins = load_pins()
    depot = Depot(user_cache_path("plexctl") / "depot")
    (stored,) = depot.fill(pins.release(pins.versions()[0]), ("tofu",), NullReporter())
    program = folder / "tofu"
    shutil.copy(stored.artifact("tofu").path, program)
    program.chmod(0o755)
    return program


def root(program: Path, folder: Path) -> Tofu:
    """terraform/incus in `folder`, with the providers of this package, ready for `init`."""
    shutil.copytree(builtin("terraform"), folder / "terraform", dirs_exist_ok=True)
    return Tofu(program, folder / "terraform" / "incus", install_mirror(folder))
