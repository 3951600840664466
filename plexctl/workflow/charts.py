"""Charts as plain manifests: for what plexctl installs itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plexctl.clients import helm
from plexctl.clients.web import Web
from plexctl.depot.charts import ChartPin, Charts
from plexctl.depot.lock import Lock
from plexctl.model.events import Reporter
from plexctl.plan.documents import Document
from plexctl.workflow.context import Context
from plexctl.workflow.tools import tool


def render(
    ctx: Context,
    run: Reporter,
    chart: ChartPin,
    values: Mapping[str, Any],
    *,
    namespace: str,
    kubernetes: str,
) -> tuple[Document, ...]:
    """What `chart` makes of `values` in `namespace`, for a version of Kubernetes.

    Helm and the chart are fetched where they are missing, and verified.
    """
    program = tool(ctx, run, "helm", "helm", kubernetes)
    packed = Charts(ctx.cache / "charts", Web(), Lock(ctx.lab.root / "depot.lock")).fetch(
        chart, run
    )
    return helm.template(program, packed, chart.name, namespace, values, kubernetes=kubernetes)
