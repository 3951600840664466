"""The one door to Helm, which turns a chart and values into manifests."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from plexctl.clients import process
from plexctl.errors import PlexError
from plexctl.plan.documents import Document

TIMEOUT = 120.0


def template(
    helm: Path,
    chart: Path,
    release: str,
    namespace: str,
    values: Mapping[str, Any],
    *,
    kubernetes: str | None = None,
) -> tuple[Document, ...]:
    """What `chart`, a packed one or a folder, makes of `values`: its CRDs first, without tests.

    No cluster and no server is asked, and no setting, plugin or cache of the user counts.
    `kubernetes` is the version that the chart is told. `values` must hold no secret: what Helm says
    of a chart that does not work quotes them.
    """
    with tempfile.TemporaryDirectory(prefix="plexctl-helm-") as folder:
        homes = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS", "HOME")
        version = ("--kube-version", kubernetes) if kubernetes else ()
        done = process.run(
            (
                *(helm, "template", release, chart.absolute()),
                *("--namespace", namespace, "--include-crds", "--skip-tests", "--values", "-"),
                *version,
            ),
            timeout=TIMEOUT,
            cwd=Path(folder),
            env={**dict.fromkeys(homes, folder), "KUBECONFIG": f"{folder}/none"},
            stdin=json.dumps(values).encode(),
            bare=True,
            check=False,
        )
    if done.code != 0:
        raise PlexError(
            f"the chart {chart.name} does not render", details=done.stderr.splitlines()[-12:]
        )
    try:
        loaded = list(yaml.load_all(done.stdout, yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise PlexError(f"the chart {chart.name} renders no YAML", details=[str(error)]) from error
    return tuple(document for document in loaded if document)
