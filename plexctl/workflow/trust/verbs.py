"""The verb `trust`: list what a lab runs on this machine, trust it, or revoke that."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from plexctl.errors import PlexError, UsageError
from plexctl.results.lab import TrustResult, TrustRow
from plexctl.workflow.core.context import Approve
from plexctl.workflow.trust.gate import JudgedPart, judged_parts, question, trust
from plexctl.workflow.trust.parts import lab_parts
from plexctl.workflow.trust.records import decision, forget


def list_parts(root: Path) -> TrustResult:
    """What the lab at `root` runs on this machine, and which of it the user trusts."""
    return _result(root, judged_parts(root), changed=False)


def trust_lab(root: Path, approve: Approve | None, *, always: bool = False) -> TrustResult:
    """Trust the parts of the lab at `root` as they are now; with `always` every later change too.

    `approve` asks the user, if there is a question; UsageError if there is nobody to ask. PlexError
    if the user refuses.
    """
    parts, before = judged_parts(root), decision(root)
    lines = list(question(parts))
    if always and not before.always:
        lines.append("every later change of such parts will be trusted too")
    if not lines:
        return _result(root, parts, changed=False)
    if approve is None:
        raise UsageError(
            "refusing to continue without -y: stdin is not a terminal",
            details=lines,
            hint="read these files, then run `plexctl trust -y`",
        )
    if not approve(lines):
        raise PlexError("nothing was changed")
    trust(root, parts, always=always or before.always)
    return _result(root, judged_parts(root), changed=True)


def revoke(root: Path) -> TrustResult:
    """Forget what the user has decided about the lab at `root`."""
    changed = forget(root)
    return _result(root, judged_parts(root), changed=changed)


def trust_new_lab(root: Path) -> None:
    """Trust a lab that plexctl has just created, and what its user writes into it later.

    A lab with parts that were there before is not trusted.
    """
    if not lab_parts(root):
        trust(root, (), always=True)


def _result(root: Path, parts: Collection[JudgedPart], *, changed: bool) -> TrustResult:
    rows = (
        TrustRow(one.part.name, str(one.part.kind), path, str(state))
        for one in parts
        for path, state in one.files.items()
    )
    return TrustResult(root, decision(root).always, changed, tuple(rows))
