"""Files of others are read within bounds: one message with file and line, never a crash."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import yaml

from plexctl.clients.sops import recipients
from plexctl.config.bounded import (
    MOST_BYTES,
    MOST_DEPTH,
    BoundError,
    check_json,
    check_yaml,
    read_regular,
)
from plexctl.config.load import load_lab
from plexctl.depot.check_pins import read_pins
from plexctl.depot.lock import Lock
from plexctl.errors import ConfigError, PlexError, UsageError
from plexctl.scripts import dependencies
from plexctl.workflow.gitops.manifests import UnreadableError, manifests
from plexctl.workflow.plex.kubeconfig import merged

from .labs import VERSIONS, faults, lab, plex_faults

DEEP = "x: " + "[" * 500 + "]" * 500 + "\n"
DEADLY = "x: " + "[" * 200_000 + "]" * 200_000 + "\n"  # crashes libyaml's composer
BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 600))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DEEP, "1 : not valid YAML: nests more than 50 levels deep"),
        (DEADLY, "1 : not valid YAML: nests more than 50 levels deep"),
        ("\n".join(" " * n + "a:" for n in range(60)) + " 1\n", "51 : not valid YAML: nests more"),
        (BOMB, "6 : not valid YAML: has more than 200000 values"),
        (CHAIN, "50 : not valid YAML: nests more than 50 levels deep through aliases"),
        ("workers: !!timestamp foo\n", "1 workers: not valid YAML: does not fit its tag"),
        ("epoch: 1\n!!timestamp foo: 2\n", "2 : not valid YAML: does not fit its tag"),
        ("workers: !!int ''\n", "1 workers: not valid YAML: "),
        ("workers: 0x" + "f" * 4000 + "\n", "1 workers: not valid YAML: the number is too large"),
        ("workers: 0b" + "1" * 9000 + "\n", "1 workers: not valid YAML: the number is too large"),
        ("workers: " + "9" * 5000 + "\n", "1 workers: not valid YAML: "),
        ("groups: !!python/object:os.system []\n", "1 groups: not valid YAML: it has the tag"),
        ("dns: !!python/object/apply:os.system {a: 1}\n", "1 dns: not valid YAML: it has the tag"),
        ("domain: !!python/name:os.system x\n", "1 domain: not valid YAML: could not"),
        ("? [a, b]\n: 1\n", "1 : a field name must be text, not a list or a mapping"),
    ],
)
def test_yaml_beyond_the_bounds_is_one_problem_of_its_line(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert plex_faults(tmp_path, text)[0][: len(expected)] == expected


def test_bytes_that_are_no_text_are_reported(tmp_path: Path) -> None:
    root = lab(tmp_path, clusters__demo__plex="")
    for content in (b"a: 1\nb: \xff\xfe\n", b"a: 1\nb: \0\n"):
        (root / "clusters/demo/plex.yaml").write_bytes(content)
        (fault,) = faults(root)
        assert fault.startswith("clusters/demo/plex.yaml:2 ")


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)


@pytest.mark.parametrize(
    ("create", "expected"),
    [
        (os.mkfifo, "the file cannot be read: it is a FIFO, not a regular file"),
        (_folder, "the file cannot be read: it is a folder, not a regular file"),
        (_socket, "the file cannot be read: it is a socket, not a regular file"),
        (_large, "the file cannot be read: it is larger than 4 MiB"),
        (
            lambda path: path.symlink_to("nothing"),
            "the file does not exist: the link leads to nothing",
        ),
        (lambda path: path.symlink_to(path.name), ""),
    ],
)
@pytest.mark.parametrize("name", ["clusters/demo/plex.yaml", "types/mine.yaml", "types/bases.yaml"])
def test_what_is_no_regular_file_is_reported_and_never_waited_for(
    tmp_path: Path, create: object, expected: str, name: str
) -> None:
    root = lab(tmp_path)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    assert callable(create)
    create(path)
    with pytest.raises((ConfigError, UsageError)) as caught:
        load_lab(root, VERSIONS)
    if isinstance(caught.value, ConfigError):
        (problem,) = caught.value.problems
        assert problem.message.startswith(expected)
        assert (problem.file, problem.line) == (path, 1)
    else:  # a link is refused with its path before it is followed
        assert name in str(caught.value)


@pytest.mark.parametrize("text", [DEEP, DEADLY, BOMB, CHAIN, "a: &a [*a]\n"])
def test_every_reader_of_yaml_refuses_what_exceeds_the_bounds(tmp_path: Path, text: str) -> None:
    with pytest.raises(BoundError):
        check_yaml(text)
    file = tmp_path / "pins.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_pins(file)
    assert caught.value.problems[0].file == file
    assert recipients(text.encode()) == ()
    with pytest.raises(PlexError, match="cannot merge into"):
        merged(text, "a: 1\n", file)
    if "*a]" not in text[:12]:  # documents that contain themselves are read without being expanded
        with pytest.raises(UnreadableError):
            list(manifests(text.encode()))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[" * 60 + "]" * 60, "1" * 5000, '{"a": ' * 60 + "1" + "}" * 60]
)
def test_json_that_nests_or_has_endless_numbers_is_a_value_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"deep|digits"):
        check_json(text)
    file = tmp_path / "depot.lock"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Lock(file).read()
    assert caught.value.problems[0].file == file
    with pytest.raises(UsageError, match="no dependencies can be read"):
        dependencies.read(text)


def test_aliases_within_the_bounds_are_allowed() -> None:
    check_yaml("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: [*a, *a]}\n")
    check_yaml("a: &a [*a]\n", cycles=True)
    check_yaml("\n".join("- {a: [1, 2, 3]}" for _ in range(20_000)))
    check_yaml("a: " + "[" * (MOST_DEPTH - 1) + "]" * (MOST_DEPTH - 1))
    with pytest.raises(yaml.YAMLError):
        check_yaml("a: [")


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x" * 10)
    assert read_regular(file) == b"x" * 10
    with pytest.raises(OSError, match="larger"):
        read_regular(file, 9)


@pytest.mark.parametrize(
    "text",
    [
        '{"resources": [1]}',
        '{"resources": [{"mode": "managed", "instances": [{}]}]}',
        '{"resources": [{"mode": "managed", "instances": [1]}]}',
        '{"values": {"root_module": {"child_modules": null}}}',
        '{"values": {"root_module": {"resources": [{"mode": "managed", "address": 1}, 2]}}}',
        '{"configuration": {"root_module": {"resources": 1}}}',
        '{"configuration": {"root_module": {"module_calls": {"a": null}}}}',
        "[1]",
        "nothing",
    ],
)
def test_output_that_is_not_opentofus_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no dependencies can be read"):
        dependencies.read(text)
