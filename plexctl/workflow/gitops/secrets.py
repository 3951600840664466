"""The verbs `secret`: Secrets of apps, which are in the lab's files only encrypted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from plexctl.clients.sops import Sops
from plexctl.errors import PlexError, UsageError
from plexctl.keys.age import identity_file, sops_recipient
from plexctl.model.files import write_atomic
from plexctl.model.secret import Secret
from plexctl.results.lab import SecretRow, SecretsResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.gitops.editor import edited
from plexctl.workflow.gitops.manifests import (
    Manifest,
    ManifestFault,
    UnreadableError,
    faults,
    is_sealed,
    manifests,
    secrets_in,
)
from plexctl.workflow.images.tools import found_tool, tool

FOLDERS = ("apps", "clusters")
YAML = (".yaml", ".yml")
ENDINGS = (*YAML, ".json")

HEAD = """\
# What is below stringData is encrypted when you leave the editor. Names are not, nor are comments
# elsewhere. Left as it is, this becomes no file.
"""
TEMPLATE = """\
apiVersion: v1
kind: Secret
metadata:
  name: {name}
  # namespace: default
type: Opaque
stringData:
  # user: me
  password: ""
"""


def keeper(ctx: Context) -> Sops:
    """SOPS with the lab's keys; the depot is filled with it first if need be."""
    binary = found_tool(ctx, "sops", "sops")
    if binary is None:
        with start(ctx.lab.state, "fill", WHOLE_LAB, ctx.listener) as run:
            binary = tool(ctx, run, "sops", "sops")
    epoch = ctx.lab.secrets_epoch
    return Sops(binary, identity_file(ctx.seed, epoch), sops_recipient(ctx.seed, epoch))


def edit(sops: Sops, file: Path) -> SecretsResult:
    """Have the user edit an encrypted file, or a new one. Its plain text is in memory alone."""
    _refuse_names([file])
    before = _content(file) if file.exists() else None
    plain = sops.decrypt(_sealed(file)) if before is not None else _template(file)
    after = edited(plain, file.name)
    if after == plain:
        return _result(sops, {file: False})
    text = after.reveal().removeprefix(HEAD.encode())
    _refuse({file: faults(text)})
    sealed = sops.encrypt(text, file)
    if (_content(file) if file.exists() else None) != before:
        raise PlexError(f"{file} has changed meanwhile; nothing was written")
    _write(file, sealed)
    return _result(sops, {file: True})


def encrypt(sops: Sops, files: Sequence[Path]) -> SecretsResult:
    """Encrypt manifests of Secrets in place: all of them, or none if one cannot be."""
    _refuse_names(files)
    plain = {file: text for file in files if not _is_done(text := _content(file))}
    _refuse({file: faults(text) for file, text in plain.items()})
    sealed = {file: sops.encrypt(text, file) for file, text in plain.items()}
    for file, text in sealed.items():
        _write(file, text)
    return _result(sops, {file: file in sealed for file in files})


def rotate(sops: Sops, root: Path, files: Sequence[Path]) -> SecretsResult:
    """Give files (without any, all encrypted ones of the lab) new data keys, for the newest key."""
    _refuse_names(files)
    chosen = [_sealed(file) for file in files] or encrypted_files(root)
    rotated = {file: sops.rotate(file) for file in chosen}
    for file, text in rotated.items():
        _write(file, text)
    return _result(sops, dict.fromkeys(rotated, True), "rotated")


def encrypted_files(root: Path) -> list[Path]:
    """The files below apps/ and clusters/ that SOPS has encrypted."""
    those = (file for file in _manifest_files(root) if file.suffix in YAML)
    return [file for file in those if is_sealed(_content(file))]


def plain_secrets(root: Path) -> list[tuple[Path, int, str]]:
    """Secrets below apps/ and clusters/ of which something is not encrypted: file, line, name.

    A file is read as far as it is YAML: what comes after that can be no object either.
    """
    return [
        (file, secret.line, secret.name)
        for file in _manifest_files(root)
        for secret in _secrets(_content(file))
        if any(secret.plain)
    ]


def _secrets(content: bytes) -> Iterator[Manifest]:
    try:
        for manifest in manifests(content):
            yield from secrets_in(manifest)
    except UnreadableError:
        return


def _manifest_files(root: Path) -> Iterable[Path]:
    found = (file for folder in FOLDERS for file in (root / folder).rglob("*"))
    return sorted(file for file in found if file.suffix in ENDINGS and file.is_file())


def _is_done(content: bytes) -> bool:
    """Whether all of a file is encrypted already."""
    try:
        those = tuple(manifests(content))
    except UnreadableError:
        return False
    return bool(those) and all(one.sealed and not any(one.plain) for one in those)


def _sealed(file: Path) -> Path:
    """`file`, which is encrypted. PlexError if it is not."""
    if not is_sealed(_content(file)):
        raise PlexError(f"{file} is not encrypted", hint=f"`plexctl secret encrypt {file}` does it")
    return file


def _template(file: Path) -> Secret:
    name = re.sub("[^a-z0-9]+", "-", file.name.partition(".")[0].lower()).strip("-") or "name"
    return Secret((HEAD + TEMPLATE.format(name=name)).encode())


def _refuse_names(files: Sequence[Path]) -> None:
    """UsageError for files that `rotate` would not find."""
    for file in files:
        if file.suffix not in YAML:
            raise UsageError(f"{file}: the name of a file of Secrets ends with .yaml or .yml")


def _refuse(found: Mapping[Path, Sequence[ManifestFault]]) -> None:
    """PlexError if there are faults in any file, with all of them."""
    those = [(file, fault) for file, faults in found.items() for fault in faults]
    if those:
        raise PlexError(
            "nothing was changed: only files of Secrets, and nothing else in them, are encrypted",
            details=(f"{file}:{fault.line}: {fault.message}" for file, fault in those),
            hint="; ".join(dict.fromkeys(fault.hint for _, fault in those if fault.hint)) or None,
        )


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PlexError(f"cannot read {file}: {error.strerror}") from None


def _write(file: Path, content: bytes) -> None:
    """Also where `file` is a link into another folder: it stays one."""
    target = file.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    except OSError as error:
        raise PlexError(f"cannot write {file}: {error.strerror}") from error
    write_atomic(target, content, mode)


def _result(sops: Sops, changed: Mapping[Path, bool], done: str = "encrypted") -> SecretsResult:
    rows = tuple(SecretRow(file, those) for file, those in changed.items())
    return SecretsResult(done, rows, sops.recipient)
