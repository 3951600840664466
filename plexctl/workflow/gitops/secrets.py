"""The verbs `secret`: manifests of Secrets, which the lab's files contain only encrypted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from plexctl.clients.sops import Sops, other_kinds, recipients
from plexctl.errors import PlexError, UsageError
from plexctl.keys.age import identity_file, sops_recipient
from plexctl.model.folder import Folder, lab_file
from plexctl.model.secret import Secret
from plexctl.results.lab import SecretRow, SecretsResult
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.gitops.editor import edited
from plexctl.workflow.gitops.manifests import (
    ENCRYPTED,
    ManifestFault,
    UnreadableError,
    faults,
    is_encrypted,
    manifests,
)
from plexctl.workflow.gitops.sops_rules import sops_rules
from plexctl.workflow.gitops.tree_files import FOLDERS
from plexctl.workflow.images.tools import found_tool, tool

YAML = (".yaml", ".yml")

HEAD = """\
# plexctl encrypts the values below stringData when you close the editor. It does not encrypt names,
# or comments outside of stringData. If you change nothing, no file is written.
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


def lab_sops(ctx: Context) -> Sops:
    """SOPS with the lab's keys. Fetches SOPS into the depot if it is not there."""
    binary = found_tool(ctx, "sops", "sops")
    if binary is None:
        with start(ctx.lab.state, "fill", WHOLE_LAB, ctx.listener) as run:
            binary = tool(ctx, run, "sops", "sops")
    epoch = ctx.lab.secrets_epoch
    return Sops(binary, identity_file(ctx.seed, epoch), sops_recipient(ctx.seed, epoch))


def edit(sops: Sops, root: Path, file: Path) -> SecretsResult:
    """Open an encrypted file, or a new one, in the user's editor. Plain text stays in memory."""
    _refuse_names(root, [file])
    before = _content(file) if file.exists() else None
    others = _others(sops, root, file, before or b"")
    plain = sops.decrypt(_require_encrypted(file)) if before is not None else _template(file)
    after = edited(plain, file.name)
    if after == plain:
        return _result(sops, {file: False}, {file: others})
    text = after.reveal().removeprefix(HEAD.encode())
    _refuse({file: faults(text)})
    encrypted = sops.encrypt(text, file, others)
    if (_content(file) if file.exists() else None) != before:
        raise PlexError(f"nothing was written: {file} has changed since the editor was opened")
    _write(root, file, encrypted)
    return _result(sops, {file: True}, {file: others})


def encrypt(sops: Sops, root: Path, files: Sequence[Path]) -> SecretsResult:
    """Encrypt manifests of Secrets in place: all of `files`, or none if one cannot be encrypted."""
    _refuse_names(root, files)
    contents = {file: _content(file) for file in files}
    plain = {file: text for file, text in contents.items() if not _is_all_encrypted(text)}
    _refuse({file: faults(text) for file, text in plain.items()})
    for file, text in contents.items():
        if file not in plain:
            _require_usable(sops, file, text)
    others = {file: _others(sops, root, file, text) for file, text in contents.items()}
    encrypted = {file: sops.encrypt(text, file, others[file]) for file, text in plain.items()}
    for file, text in encrypted.items():
        _write(root, file, text)
    return _result(sops, {file: file in encrypted for file in files}, others)


def rotate(sops: Sops, root: Path, files: Sequence[Path]) -> SecretsResult:
    """Encrypt files again, with new data keys, for the lab's newest key and keys of others.

    Without `files`, all encrypted files of the lab.
    """
    _refuse_names(root, files)
    chosen = [_require_encrypted(file) for file in files] or encrypted_files(root)
    _refuse_names(root, chosen)
    others = {file: _others(sops, root, file, _content(file)) for file in chosen}
    rotated = {file: sops.rotate(file, others[file]) for file in chosen}
    for file, text in rotated.items():
        _write(root, file, text)
    return _result(sops, dict.fromkeys(rotated, True), others, "rotated")


def encrypted_files(root: Path) -> list[Path]:
    """The files below apps/ and clusters/ that SOPS has encrypted."""
    return [file for file in _manifest_files(root) if is_encrypted(_content(file))]


def _manifest_files(root: Path) -> Iterable[Path]:
    found = (file for folder in FOLDERS for file in (root / folder).rglob("*"))
    return sorted(file for file in found if file.suffix in YAML and file.is_file())


def _is_all_encrypted(content: bytes) -> bool:
    """Whether a file is encrypted completely."""
    try:
        found = tuple(manifests(content))
    except UnreadableError:
        return False
    return bool(found) and all(one.encrypted and not any(one.plain) for one in found)


def _require_encrypted(file: Path) -> Path:
    """`file`, which is encrypted. PlexError if it is not."""
    if not is_encrypted(_content(file)):
        raise PlexError(
            f"{file} is not encrypted", hint=f"encrypt it: `plexctl secret encrypt {file}`"
        )
    return file


def _template(file: Path) -> Secret:
    name = re.sub("[^a-z0-9]+", "-", file.name.partition(".")[0].lower()).strip("-") or "name"
    return Secret((HEAD + TEMPLATE.format(name=name)).encode())


def _refuse_names(root: Path, files: Sequence[Path]) -> None:
    """UsageError for files that `rotate` would not find, and for links that leave the lab."""
    for file in files:
        if file.suffix not in YAML:
            raise UsageError(
                f"cannot use {file}: the name of a file of Secrets must end with .yaml or .yml"
            )
        _place(root, file)


def _refuse(found: Mapping[Path, Sequence[ManifestFault]]) -> None:
    """PlexError with all faults of all files, if there are any."""
    all_faults = [(file, fault) for file, faults in found.items() for fault in faults]
    if all_faults:
        raise PlexError(
            "nothing was changed: a file to encrypt must contain valid Secrets and nothing else",
            details=(f"{file}:{fault.line}: {fault.message}" for file, fault in all_faults),
            hint="; ".join(dict.fromkeys(fault.hint for _, fault in all_faults if fault.hint))
            or None,
        )


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PlexError(f"cannot read {file}: {error.strerror}") from None


def _write(root: Path, file: Path, content: bytes) -> None:
    """Write `file`, or the file that it links to."""
    folder, name = _place(root, file)
    folder.rewrite(name, content)


def _place(root: Path, file: Path) -> tuple[Folder, str]:
    """The folder and the name of `file`. UsageError if it is in the lab and a link leads out."""
    if any(
        os.path.realpath(folder) == os.path.realpath(root) for folder in _absolute(file).parents
    ):
        return lab_file(root, file)
    target = file.resolve()
    return Folder(Path(target.anchor), target.parts[1:-1]), target.name


def _absolute(file: Path) -> Path:
    return Path(os.path.abspath(file))  # noqa: PTH100 - resolve() would follow links


def _others(sops: Sops, root: Path, file: Path, content: bytes) -> tuple[str, ...]:
    """The age keys of others: those of the file, and those that .sops.yaml adds to it.

    PlexError for keys of other kinds: plexctl cannot encrypt for them, and does not drop them.
    """
    if kinds := other_kinds(content):
        raise PlexError(
            f"nothing was changed: {file} is also encrypted for keys of {', '.join(kinds)}",
            details=("plexctl encrypts for age keys only, and drops no key of others",),
            hint="change the file with sops itself, which uses your keys",
        )
    added = (one for one in sops_rules(root, file) if one not in sops.own)
    return tuple(dict.fromkeys((*sops.others(content), *added)))


def _require_usable(sops: Sops, file: Path, content: bytes) -> None:
    """PlexError for an encrypted file that the lab cannot decrypt, or Flux cannot apply."""
    if not sops.own & set(recipients(content)):
        keys = ", ".join((*recipients(content), *other_kinds(content)))
        raise PlexError(
            f"nothing was changed: {file} is encrypted already, and no key of this lab decrypts it",
            details=(f"it is encrypted for {keys or 'unknown keys'}",),
            hint="encrypt its plain text, or let the owner of a key add the lab's:"
            f" `sops rotate -i --add-age {sops.recipient} {file}`",
        )
    for one in manifests(content):
        if one.kind.startswith(ENCRYPTED):
            raise PlexError(
                f"nothing was changed: {file} is encrypted already, also its `kind`",
                details=(f"{file}:{one.line}: Flux cannot apply an object of unknown kind",),
                hint="decrypt it with sops, then encrypt its plain text:"
                f" `plexctl secret encrypt {file}`",
            )


def _result(
    sops: Sops,
    changed: Mapping[Path, bool],
    others: Mapping[Path, tuple[str, ...]],
    done: str = "encrypted",
) -> SecretsResult:
    rows = tuple(SecretRow(file, new, others[file]) for file, new in changed.items())
    return SecretsResult(done, rows, sops.recipient)
