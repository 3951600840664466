"""The verb `render`: apps from charts as plain manifests, for where no helm-controller is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from plexctl.clients import helm
from plexctl.depot.charts import Charts
from plexctl.depot.lock import Lock
from plexctl.errors import PlexError, UsageError
from plexctl.model.events import Outcome
from plexctl.model.files import write_changed
from plexctl.plan.charts import Release, manifests, release_of
from plexctl.plan.documents import Document, dump
from plexctl.workflow.context import Context
from plexctl.workflow.results.apps import RenderResult, RenderRow
from plexctl.workflow.run import WHOLE_LAB, Run, start
from plexctl.workflow.tools import tool

FOLDER, ALL, KUSTOMIZATION = "rendered", "all.yaml", "kustomization.yaml"
HEAD = """\
# {chart}, as `plexctl render` made it: a change here is lost when it is made anew.
"""
LISTED = f"""\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - {ALL}
"""


def render(ctx: Context, apps: Sequence[str]) -> RenderResult:
    """Write what the charts of `apps`, or of all apps, make to apps/<app>/rendered.

    Helm and charts are fetched where they are missing; the lab's depot.lock keeps what they were.
    """
    releases = dict(_releases(ctx.lab.root / "apps"))
    for app in apps:
        if app not in releases:
            raise UsageError(
                f"no file of apps/{app} has a HelmRelease",
                hint=f"these apps have one: {', '.join(releases) or 'none'}",
            )
    chosen = apps or tuple(releases)
    if not chosen:
        raise UsageError("no app of this lab is from a chart", hint="`plexctl init --gitops --app`")
    versions = [plex.kubernetes for plex in ctx.lab.plexes.values()] or list(ctx.pins.versions())
    # What the oldest cluster takes, the others take too.
    kubernetes = min(versions, key=lambda version: tuple(map(int, version.split("."))))
    with start(ctx.lab.state, "render", WHOLE_LAB, ctx.listener) as run:
        program = tool(ctx, run, "helm", "helm", kubernetes)
        charts = Charts(ctx.cache / "charts", program, Lock(ctx.lab.root / "depot.lock"))
        rows = [_render(releases[app], app, charts, kubernetes, run) for app in chosen]
    return RenderResult(tuple(rows))


def _releases(folder: Path) -> Iterator[tuple[str, tuple[Path, Release]]]:
    """App -> its file and what that asks Helm for."""
    for file in sorted(folder.glob("*/*.y*ml")):
        content = file.read_bytes()
        if b"HelmRelease" not in content:
            continue
        where = str(file.relative_to(folder.parent))
        try:
            documents: list[Document] = [
                one for one in yaml.load_all(content, yaml.CSafeLoader) if one
            ]
            release = release_of(documents, where)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise PlexError(f"{where}:{line}: is not valid YAML: {error.problem}") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise PlexError(f"{where}: an object in it lacks {error}") from error
        if release:
            yield file.parent.name, (file, release)


def _render(
    asked: tuple[Path, Release], app: str, charts: Charts, kubernetes: str, run: Run
) -> RenderRow:
    file, release = asked
    packed = charts.fetch(release.chart, run)
    target = file.parent / FOLDER / ALL
    with run.step(f"render {app}") as step:
        made = helm.template(
            charts.helm,
            packed,
            release.name,
            release.namespace,
            release.values,
            kubernetes=kubernetes,
        )
        documents = manifests(release, made, f"apps/{app}/{file.name}")
        text = HEAD.format(chart=release.chart) + dump(*documents)
        before = target.read_text() if target.exists() else None
        target.parent.mkdir(exist_ok=True)
        write_changed(target, text.encode())
        write_changed(target.with_name(KUSTOMIZATION), LISTED.encode())
        changed = before != text
        step.end(Outcome.CHANGED if changed else Outcome.UNCHANGED, f"{len(documents)} objects")
    return RenderRow(app, release.chart.name, release.chart.version, target, changed)
