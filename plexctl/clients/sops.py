"""The client of SOPS, which encrypts the values of a YAML file and keeps its structure."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from plexctl.clients import process
from plexctl.clients.memory import memory_file
from plexctl.config.bounded import TREE_NODES, check_yaml
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.secret import Secret

TIMEOUT = 60.0
VALUES = "^(data|stringData)$"
"""The fields of a Secret whose values are encrypted. Names and labels stay readable in git."""

OTHER_KINDS = ("pgp", "kms", "gcp_kms", "azure_kv", "hc_vault", "hckms", "key_groups")
"""Fields of SOPS, in a file, with keys of other kinds than age, or with groups of keys."""

_SETTINGS = frozenset(
    {
        *("age", "lastmodified", "mac", "mac_only_encrypted", "version", "shamir_threshold"),
        *("encrypted_regex", "encrypted_suffix", "encrypted_comment_regex"),
        *("unencrypted_regex", "unencrypted_suffix", "unencrypted_comment_regex"),
    }
)
"""Fields of SOPS, in a file, that name no server and no program (stores.Metadata of SOPS)."""

_BINARY, _MERGE = "tag:yaml.org,2002:binary", "tag:yaml.org,2002:merge"
_NULL, _TEXT = "tag:yaml.org,2002:null", "tag:yaml.org,2002:str"

_SETTINGS_BYTES = frozenset(one.encode() for one in _SETTINGS)
_DOTENV = re.compile(rb"^\W*sops_(\w*?)(?=__|\W|$)", re.MULTILINE)
_INI_SECTION = re.compile(rb"^\W*\[\W*sops\W*\](.*?)(?=^\s*\[|\Z)", re.MULTILINE | re.DOTALL)
_INI = re.compile(rb"^[^\w\n]*(\w+?)(?=__|[^\w]|$)", re.MULTILINE)
"""Names of fields of SOPS: in dotenv `sops_age__list_0__map_enc=…`, in INI without `sops_`."""

_PUBLIC_KEY = re.compile("^# public key: (.*)$", re.MULTILINE)
_YAML = ("--input-type", "yaml", "--output-type", "yaml")
_MAC_MISMATCH, _NO_KEY = 51, 128  # exit codes of sops


@dataclass(frozen=True, slots=True)
class Sops:
    """SOPS with the lab's keys, and without settings and keys of the user.

    `identity` has one or more age keys, one per line, for decryption. `recipient` is the public
    age key for encryption.
    """

    binary: Path
    identity: Secret
    recipient: str

    @property
    def own(self) -> frozenset[str]:
        """The public age keys of the lab: the newest, and those of older epochs."""
        return frozenset({self.recipient, *_PUBLIC_KEY.findall(self.identity.reveal_text())})

    def others(self, content: bytes) -> tuple[str, ...]:
        """The age keys for which a file is encrypted and which are not of the lab."""
        return tuple(one for one in recipients(content) if one not in self.own)

    def encrypt(self, plain: bytes, file: Path, others: Sequence[str] = ()) -> bytes:
        """Encrypt `plain`, a manifest of Secrets for `file`, also for the age keys `others`.

        Returns the text; writes nothing.
        """
        name = ("--filename-override", str(file.absolute()))
        options = (
            *_YAML,
            "--encrypted-regex",
            VALUES,
            "--age",
            ",".join((self.recipient, *others)),
        )
        done = self._run("encrypt", (*name, *options), plain)
        if done.code != 0:
            # SOPS' messages quote the text that it cannot read.
            why = f"sops failed with code {done.code}; its output is hidden, it may quote secrets"
            raise PlexError(f"cannot encrypt {file}", details=(why,))
        return done.stdout.encode()

    def decrypt(self, file: Path) -> Secret:
        """The plain text of an encrypted file.

        PlexError if no key of the lab decrypts it, or if it has keys of other kinds than age.
        """
        _require_no_service(file.read_bytes(), str(file))
        with self._key() as (environment, descriptor):
            arguments = (*_YAML, str(file.absolute()))
            done = self._run("decrypt", arguments, None, environment, (descriptor,))
        return Secret(_answer(done, str(file), file.read_bytes()).encode())

    def decrypt_text(self, content: bytes, input_type: str, output_type: str) -> Secret:
        """The plain text of an encrypted text that kustomize may have changed, as Flux decrypts it.

        The types are SOPS' own: "yaml", "json", "dotenv", "ini" or "binary". Additions of kustomize
        are not in the checksum of the file, so only the checksums of the values are verified.
        Keys of other kinds than age are not used: they name servers.
        """
        types = ("--input-type", input_type, "--output-type", output_type)
        with self._key() as (environment, descriptor):
            arguments = (*types, "--ignore-mac", "/dev/stdin")
            text = _without_services(content, input_type)
            done = self._run("decrypt", arguments, text, environment, (descriptor,))
        return Secret(_answer(done, "a Secret in the tree", content).encode())

    def rotate(self, file: Path, more: Sequence[str] = ()) -> bytes:
        """Encrypt `file` again with a new data key. Returns the text.

        `recipient` replaces older keys of the lab; keys of others stay, and `more` are added.
        PlexError as `decrypt`.
        """
        content = file.read_bytes()
        _require_no_service(content, str(file))
        before = recipients(content)
        added = [one for one in (self.recipient, *more) if one not in before]
        old = [one for one in before if one in self.own and one != self.recipient]
        change = (
            *(("--add-age", ",".join(added)) if added else ()),
            *(("--rm-age", ",".join(old)) if old else ()),
        )
        with self._key() as (environment, descriptor):
            arguments = (*_YAML, *change, str(file.absolute()))
            done = self._run("rotate", arguments, None, environment, (descriptor,))
        return _answer(done, str(file), content).encode()

    def _run(
        self,
        verb: str,
        arguments: Sequence[str],
        stdin: bytes | None,
        environment: dict[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> CommandResult:
        # Without an empty settings file, SOPS searches all parent folders for one.
        settings = ("--config", os.devnull, "--disable-version-check")
        return process.run(
            (self.binary, *settings, verb, *arguments),
            timeout=TIMEOUT,
            # SOPS would search the home folder for keys.
            env={"HOME": "/nonexistent", **(environment or {})},
            stdin=stdin,
            check=False,
            private=True,
            pass_fds=pass_fds,
        )

    @contextmanager
    def _key(self) -> Iterator[tuple[dict[str, str], int]]:
        """The age keys in a memory file: the environment for sops, and the file's descriptor."""
        with memory_file(self.identity.reveal()) as descriptor:
            yield {"SOPS_AGE_KEY_FILE": f"/dev/fd/{descriptor}"}, descriptor


def other_kinds(content: bytes) -> tuple[str, ...]:
    """The kinds of keys, except age, for which a file is encrypted: "pgp", "kms", …"""
    settings = _settings(content)
    return tuple(kind for kind in OTHER_KINDS if settings.get(kind))


def recipients(content: bytes) -> tuple[str, ...]:
    """The public age keys for which a file is encrypted; equal in all its documents."""
    keys = _settings(content).get("age")
    listed = keys if isinstance(keys, list) else ()
    found = (key.get("recipient") for key in listed if isinstance(key, dict))
    return tuple(one for one in found if isinstance(one, str))


def _require_no_service(content: bytes, name: str) -> None:
    """PlexError if SOPS could call a server, or start a program, that a file names.

    It does that for keys of Vault and of clouds, and for those of PGP. The YAML library of SOPS
    and ours read some texts differently, so every field that is not known to be harmless counts,
    also where another one of the same name replaces it.
    """
    try:
        check_yaml(content, most_nodes=TREE_NODES)
        documents = yaml.compose_all(content, yaml.CSafeLoader)
        found = [one for node in documents for one in _unsafe_fields(node)]
    except yaml.YAMLError:
        raise PlexError(f"cannot read {name}: it is not valid YAML") from None
    if found:
        raise _has_service(name, found)


def _has_service(name: str, fields: Iterable[str]) -> PlexError:
    return PlexError(
        f"refusing to use {name}: its field `sops` has {', '.join(dict.fromkeys(fields))}",
        details=("plexctl uses keys of age only: SOPS calls the servers of other keys",),
        hint="change the file with sops itself, which uses your keys",
    )


def _unsafe_fields(document: yaml.Node | None) -> Iterator[str]:
    """Fields of `sops` in a document that may name a server, and what may stand for a field."""
    for key, value in _entries(document):
        if key.tag in (_BINARY, _MERGE):
            yield str(key.value)
        if key.value == "sops":
            for name, setting in _entries(value):
                is_empty = setting.tag == _NULL or (
                    isinstance(setting, yaml.CollectionNode) and not setting.value
                )
                if not (key.tag == name.tag == _TEXT and (name.value in _SETTINGS or is_empty)):
                    yield str(name.value)


def _entries(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    yield from node.value if isinstance(node, yaml.MappingNode) else ()


def _without_services(content: bytes, input_type: str) -> bytes:
    """An encrypted text with no other keys than those of age.

    An object is JSON. The bytes of other texts, which are files of generators or patches, must not
    change: PlexError if one may name a server.
    """
    name = "an encrypted file in the tree"
    match input_type:
        case "json":
            try:
                document = json.loads(content)
                settings = {key: one for key, one in document["sops"].items() if key in _SETTINGS}
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                raise PlexError(f"cannot read {name}: it is not valid JSON") from None
            return json.dumps({**document, "sops": settings}).encode()
        case "dotenv":
            unsafe = {one for one in _DOTENV.findall(content) if one not in _SETTINGS_BYTES}
        case "ini":
            unsafe = {
                one
                for section in _INI_SECTION.findall(content)
                for one in _INI.findall(section)
                if one not in _SETTINGS_BYTES
            }
        case _:
            _require_no_service(content, name)
            unsafe = set()
    if unsafe:
        raise _has_service(name, sorted(one.decode(errors="replace") for one in unsafe))
    return content


def _settings(content: bytes) -> dict[object, object]:
    try:
        check_yaml(content, most_nodes=TREE_NODES)
        first = next(yaml.load_all(content, yaml.CBaseLoader), None)
    except yaml.YAMLError:
        return {}
    settings = first.get("sops") if isinstance(first, dict) else None
    return settings if isinstance(settings, dict) else {}


def _answer(done: CommandResult, name: str, content: bytes) -> str:
    """The output of sops. `name` and `content` are those of its input, for error messages."""
    if done.code == 0:
        return done.stdout
    if done.code == _NO_KEY:
        keys = ", ".join(recipients(content)) or "keys of another kind than age"
        raise PlexError(
            f"cannot decrypt {name} with the keys of this lab",
            details=(f"it is encrypted for {keys}",),
            hint="if `secrets.epoch` in clusters/hosts.yaml was lowered, raise it again; if the"
            " file is from another lab, encrypt its plain text with `plexctl secret encrypt`",
        )
    if done.code == _MAC_MISMATCH:
        raise PlexError(
            f"{name} was changed after it was encrypted",
            details=("its checksum differs; the checksum includes names and labels",),
            hint=f"restore the encrypted version, and change that: `plexctl secret edit {name}`",
        )
    raise PlexError(
        f"sops cannot read {name} (code {done.code})", details=done.stderr.splitlines()[-4:]
    )
