"""The verb `render`: apps from Helm charts as plain manifests, for plexes without Flux."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from plexctl.clients import helm
from plexctl.config.bounded import TREE_BYTES, TREE_NODES, check_yaml, read_regular
from plexctl.depot.charts import Charts
from plexctl.depot.lock import Lock
from plexctl.errors import PlexError, UsageError
from plexctl.model.events import Outcome
from plexctl.model.folder import lab_file
from plexctl.plan.documents import dump
from plexctl.plan.gitops.charts import HelmRelease, manifests, release_of
from plexctl.results.apps import RenderResult, RenderRow
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, Run, start
from plexctl.workflow.gitops.release_files import release_files, shown
from plexctl.workflow.images.tools import tool
from plexctl.workflow.trust.gate import require_trust
from plexctl.workflow.trust.parts import PartKind

FOLDER, ALL, KUSTOMIZATION = "rendered", "all.yaml", "kustomization.yaml"
HEAD = """\
# {chart}, rendered by `plexctl render`, which overwrites changes to this file.
"""
KUSTOMIZATION_TEXT = f"""\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - {ALL}
"""


def render(ctx: Context, apps: Sequence[str]) -> RenderResult:
    """Render the charts of `apps` into apps/<app>/rendered.

    Without `apps`, those of all apps; an app that cannot be rendered is noted and left out. Fetches
    Helm and charts that are missing, and records the charts' digests in the lab's depot.lock.
    """
    files = release_files(ctx.lab.root)
    if not files:
        raise UsageError(
            "no app of this lab has a HelmRelease",
            hint="add an app that has one: `plexctl init --gitops --app NAME`",
        )
    for app in apps:
        if app not in files:
            raise UsageError(
                f"no file in apps/{app} has a HelmRelease",
                hint=f"apps with one: {', '.join(files)}",
            )
    versions = [plex.kubernetes for plex in ctx.lab.plexes.values()] or list(ctx.pins.versions())
    # Manifests for the oldest cluster work in the newer ones too.
    kubernetes = min(versions, key=lambda version: tuple(map(int, version.split("."))))
    with start(ctx.lab.state, "render", WHOLE_LAB, ctx.listener) as run:
        releases: dict[Path, HelmRelease] = {}
        for app in apps or files:
            try:
                releases[files[app]] = release_in(files[app])
            except PlexError as error:
                if apps:
                    raise
                run.note(error.summary)
        if not releases:
            return RenderResult(())
        require_trust(ctx, PartKind.CHART, PartKind.PINS)
        program = tool(ctx, run, "helm", "helm", kubernetes)
        charts = Charts(ctx.cache / "charts", program, Lock(ctx.lab.root / "depot.lock"))
        root = ctx.lab.root
        rows = [_render(root, file, releases[file], charts, kubernetes, run) for file in releases]
    return RenderResult(tuple(rows))


def release_in(file: Path) -> HelmRelease:
    """The HelmRelease in a file. UsageError if it cannot be read, or if we cannot render it."""
    where = shown(file)
    try:
        content = read_regular(file, TREE_BYTES)
        check_yaml(content, most_nodes=TREE_NODES)
        loaded = yaml.load_all(content, yaml.CSafeLoader)
        return release_of([one for one in loaded if one], where)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{where}:{line}: not valid YAML: {error.problem}") from error
    except OSError as error:
        raise UsageError(f"{where}: cannot read the file: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        line = content.count(b"\n", 0, getattr(error, "position", 0)) + 1
        reason = getattr(error, "reason", error)
        raise UsageError(f"{where}:{line}: not valid YAML: {reason}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{where}: an object lacks the field {error}") from error


def _render(
    root: Path, file: Path, release: HelmRelease, charts: Charts, kubernetes: str, run: Run
) -> RenderRow:
    app = file.parent.name
    packed = charts.fetch(release.chart, run)
    target = file.parent / FOLDER / ALL
    with run.step(f"render {app}") as step:
        rendered = helm.template(
            charts.helm,
            packed,
            release.name,
            release.namespace,
            release.values,
            kubernetes=kubernetes,
        )
        documents = manifests(release, rendered, shown(file))
        text = HEAD.format(chart=release.chart) + dump(*documents)
        folder, name = lab_file(root, target)
        changed = folder.rewrite_changed(name, text.encode())
        folder.rewrite_changed(KUSTOMIZATION, KUSTOMIZATION_TEXT.encode())
        step.end(Outcome.CHANGED if changed else Outcome.UNCHANGED, f"{len(documents)} objects")
    return RenderRow(app, release.chart.name, release.chart.version, target, changed)
