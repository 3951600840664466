"""Bakes one image on one host, of a type on a base that may differ from the type's own."""

from __future__ import annotations

from dataclasses import replace

from plexctl.config.build import build
from plexctl.config.check import check
from plexctl.config.draft import Draft, draft_lab
from plexctl.errors import ConfigError, UsageError
from plexctl.model.gitops import GitopsEngine
from plexctl.model.types import NodeType
from plexctl.results.images import BakeResult, ImageRow
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.images.bake import versions
from plexctl.workflow.images.ensure import bake_types


def bake_on(
    ctx: Context,
    host: str,
    name: str,
    base: str,
    *,
    kubernetes: str | None,
    engine: GitopsEngine | None,
) -> BakeResult:
    """Bake type `name` on `base` on `host`. An image that exists is not baked again.

    `kubernetes` is a supported version; None: the newest that a plex uses. UsageError for a host,
    type, base or version that the lab lacks.
    """
    for kind, word, known in (
        ("host", host, tuple(ctx.hosts)),
        ("type", name, tuple(ctx.lab.types)),
        ("version of Kubernetes", kubernetes, ctx.pins.versions()),
    ):
        if word is not None and word not in known:
            raise UsageError(f"there is no {kind} {word}", hint=f"there are: {', '.join(known)}")
    version = kubernetes or versions(ctx)[0]
    node_type = _on_base(ctx, name, base).with_engine(engine)
    with start(ctx.lab.state, "bake", WHOLE_LAB, ctx.listener) as run:
        (image,) = bake_types(ctx, {(host, name): node_type}, version, run).values()
    return BakeResult((ImageRow(name, host, version, image.name, image.changed),), ())


def _on_base(ctx: Context, name: str, base: str) -> NodeType:
    """The type as if its file named `base`, with all checks of a type."""
    drafts = draft_lab(ctx.lab.root)
    known = {known for draft in drafts.bases if draft.fields for known in draft.fields}
    if base not in known:
        raise UsageError(f"there is no base {base}", hint=f"there are: {', '.join(sorted(known))}")
    draft = drafts.types[name]
    assert draft.fields is not None, name  # the lab has been loaded
    other = Draft(draft.source, replace(draft.fields, base=base))
    drafts = replace(drafts, types={**drafts.types, name: other})
    check(drafts, ctx.pins.versions())
    if problems := [problem for source in drafts.sources() for problem in source.problems]:
        raise ConfigError(problems)
    return build(drafts, ctx.pins.versions()).types[name]
