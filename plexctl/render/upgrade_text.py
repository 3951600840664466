"""Results of `upgrade`, as text."""

from __future__ import annotations

from plexctl.render.plex_text import nodes_table
from plexctl.render.tables import count
from plexctl.results.upgrade import UpgradePlanResult, UpgradeResult


def upgrade(result: UpgradeResult) -> str:
    if not result.replaced:
        return f"{result.plex}: nothing to upgrade; it has Kubernetes {result.kubernetes}"
    did = f"{count(len(result.replaced), 'node')} replaced"
    if result.before != result.kubernetes:
        did = f"Kubernetes {result.before} to {result.kubernetes}, {did}"
    times = [f"after {result.seconds['all']:.1f} s"]
    if "away" in result.seconds:
        times.append(f"the API was away for {result.seconds['away']:.1f} s")
    return "\n".join([nodes_table(result.nodes), "", f"{result.plex}: {did} {'; '.join(times)}"])


def steps(result: UpgradePlanResult) -> str:
    if not result.steps:
        return f"{result.plex}: nothing to upgrade; it has Kubernetes {result.kubernetes}"
    lines = [f"{number}. {step}" for number, step in enumerate(result.steps, 1)]
    return "\n".join([f"{result.plex}: upgrade to Kubernetes {result.kubernetes}", *lines])
