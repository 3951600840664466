"""Commands that the docs show parse, and files of a lab that they show load."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from plexctl.cli.main import app
from plexctl.cli.verbs import SECTIONS
from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins

ROOT = Path(__file__).parents[3]
PAGES = [
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "apps/README.md"),
    *("terraform/modules/incus-plex/README.md", "terraform/modules/proxmox-plex/README.md"),
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
]
VERSIONS = load_pins().versions()
BLOCK = re.compile(r"^ *```([a-z]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
IN_A_SENTENCE = re.compile(r"`(plexctl [^`\n]+)`")
SHELL = re.compile(r"\s(?:\||>|<|2>)\s?.*")  # what follows the command itself
SYNTAX = re.compile(r"[\[\]…|]| VERB\b")  # of a synopsis: no command that anybody types
ENDS = {"--help", "--version", "--install-completion", "--show-completion"}
INVENTED = {"addresses [PLEX]"}  # the verb that CONTRIBUTING.md adds as an example


def commands(page: str) -> Iterator[tuple[str, bool]]:
    """Each call of plexctl on a page, and whether it is whole: one in a sentence may not be."""
    lines: list[str] = []
    for kind, text in BLOCK.findall(page):
        if kind in ("console", "sh", "text", ""):
            typed = [line for line in text.splitlines() if line.lstrip().startswith("$ ")]
            lines += typed or text.splitlines()
    prose = BLOCK.sub("", page)
    lines += [line for line in prose.splitlines() if line.startswith("    ")]
    for line in lines:
        for part in line.strip().removeprefix("$ ").split(" && "):
            if re.match(r"(?:bin/)?plexctl (?:-C \S+ )?[a-z]+(?: |$)", part):
                yield part.partition("plexctl ")[2], True
    for command in IN_A_SENTENCE.findall(prose):
        yield command.removeprefix("plexctl "), False


def parse(words: list[str]) -> None:
    """Parse the words of a command line as plexctl does, and call nothing."""
    command: Any = typer.main.get_command(app)
    context = None
    while hasattr(command, "commands"):
        context = command.make_context("plexctl", words, parent=context)
        words = [*context._protected_args, *context.args]  # the name of a verb, and its words
        if not words:
            return
        name, command, words = command.resolve_command(context, words)
    command.make_context(name, words, parent=context)


def fault(command: str, *, whole: bool) -> str | None:
    """Why plexctl would refuse a command; None if it does not."""
    words = shlex.split(SHELL.sub("", command), comments=True)
    if ENDS & set(words):
        return None
    try:
        parse(words)
    except Exception as error:  # noqa: BLE001 - the library's errors have private types
        missing = type(error).__name__ in ("MissingParameter", "NoArgsIsHelpError")
        return None if missing and not whole else f"{command}: {error}"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_commands_on_a_page_parse(page: str) -> None:
    found = [
        fault(command, whole=whole)
        for command, whole in commands((ROOT / page).read_text())
        if command not in INVENTED and not SYNTAX.search(command.partition(" # ")[0])
    ]
    assert not [one for one in found if one]


@pytest.mark.parametrize(
    ("command", "part"),
    [("up --colour", "--colour"), ("snapshot take", "take"), ("scale demo", "workers")],
)
def test_a_command_that_plexctl_refuses_is_found(command: str, part: str) -> None:
    text = f"```console\n$ plexctl {command}\n```\n"
    [(found, whole)] = commands(text)
    assert part in (fault(found, whole=whole) or "")


def test_the_table_of_the_readme_has_every_verb() -> None:
    section = (ROOT / "README.md").read_text().partition("## Verbs\n")[2].partition("\n## ")[0]
    named = {name.split()[0] for name in re.findall(r"`([a-z][^`]*)`", section)}
    assert {verb for verbs in SECTIONS.values() for verb in verbs} <= named


PLACEHOLDERS = (
    (re.compile(r"certificate: [0-9a-f]+…"), f"certificate: {'0f' * 32}"),
    (re.compile(r"sha512:…"), f"sha512:{'0f' * 64}"),
    (re.compile(r"<build>"), "20260101-0000"),
)
"""What a page leaves to the reader, and a value in its place."""

A_HOST = "hosts: {local: {}}\n"
HOSTS = {"hosts", "registry", "secrets"}
NOT_OF_A_LAB = {"apiVersion", "path"}  # a manifest, and an app's file for Argo CD
SURROUNDINGS = {
    "clusters/hosts.yaml": f"{A_HOST}registry: {{}}\n",
    "clusters/s3-ca.pem": "-----BEGIN CERTIFICATE-----\n",
    "clusters/known_hosts": "git.example.org ssh-ed25519 AAAA\n",
    "types/box.yaml": "{role: admnode, layers: [{name: tools}]}\n",
}
"""Files of the lab beside the one that a page shows."""


def lab_files(page: str) -> Iterator[tuple[str, str]]:
    """The files of a lab that a page shows: path below the lab, and content.

    A comment in the first line names the file. Without one, its fields say which one it is.
    """
    for kind, text in BLOCK.findall(page):
        if kind != "yaml" or "     # types/" in text:  # parts of two files beside each other
            continue
        for pattern, value in PLACEHOLDERS:
            text = pattern.sub(value, text)
        fields = yaml.safe_load(text)
        named = re.match(r"# ((?:clusters|types)/[\w./-]+\.yaml)", text)
        if named:
            yield named[1], text
        elif NOT_OF_A_LAB & set(fields):
            continue
        elif HOSTS & set(fields):
            yield "clusters/hosts.yaml", text if "hosts" in fields else f"{A_HOST}{text}"
        elif "role" in fields:
            yield "types/box.yaml", text
        elif any("release" in one for one in fields.values() if isinstance(one, dict)):
            yield "types/bases.yaml", text
        elif not text.startswith(" "):  # an excerpt otherwise
            yield "clusters/demo/plex.yaml", text


def with_files() -> list[str]:
    return [one for one in PAGES if list(lab_files((ROOT / one).read_text()))]


@pytest.mark.parametrize("page", with_files())
def test_files_of_a_lab_on_a_page_load(page: str, tmp_path: Path) -> None:
    shown = list(lab_files((ROOT / page).read_text()))
    for path, text in (*SURROUNDINGS.items(), *shown):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if (path, text) in shown:
            load_lab(tmp_path, VERSIONS)
