"""Programs of the depot that plexctl runs on this machine."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from plexctl.depot.blobs import sha256_of
from plexctl.depot.components import KubernetesRelease
from plexctl.depot.index import Artifact
from plexctl.errors import PlexError
from plexctl.model.events import Reporter
from plexctl.workflow.core.context import Context
from plexctl.workflow.images.recipes import depot_lock
from plexctl.workflow.images.store import depot


def tool(
    ctx: Context, run: Reporter, component: str, artifact: str, kubernetes: str | None = None
) -> Path:
    """The path of a program; the depot is filled with its `component` if that is missing.

    `kubernetes` is the version that it belongs to; without it, the newest.
    """
    found = found_tool(ctx, component, artifact, kubernetes)
    if found is not None:
        return found
    stored = depot(ctx).fill(_release(ctx, kubernetes), (component,), run)
    return _executable(ctx, stored[0].artifact(artifact))


def found_tool(
    ctx: Context, component: str, artifact: str, kubernetes: str | None = None
) -> Path | None:
    """The same, without filling the depot: None if it lacks the component."""
    # Few runs of `up` and `plan` use a program of the depot.
    from plexctl.workflow.trust.gate import require_trust
    from plexctl.workflow.trust.parts import PartKind

    require_trust(ctx, PartKind.PINS)  # the lab's pins may have chosen the program
    stored = depot(ctx).find(component, _release(ctx, kubernetes))
    usable = stored is not None and depot_lock(ctx).accepts(stored)
    return _executable(ctx, stored.artifact(artifact)) if stored and usable else None


def _release(ctx: Context, kubernetes: str | None) -> KubernetesRelease:
    return ctx.pins.release(kubernetes or ctx.pins.versions()[0])


def _executable(ctx: Context, artifact: Artifact) -> Path:
    """A verified, executable copy: no file in the depot is executable."""
    target = ctx.cache / "tools" / artifact.digest / artifact.name
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            copy = Path(folder) / artifact.name
            shutil.copyfile(artifact.path, copy)
            if sha256_of(copy) != artifact.digest:
                raise PlexError(
                    f"{artifact.name} of {artifact.component} in the depot is damaged",
                    hint="`plexctl depot verify` deletes it; the next use fetches it again",
                )
            copy.chmod(artifact.mode)
            copy.replace(target)
    except OSError as error:
        raise PlexError(f"cannot write {target}: {error.strerror}") from error
    return target
