"""The one door to Helm, which fetches charts and turns them and values into manifests."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from plexctl.clients import process
from plexctl.errors import PlexError
from plexctl.model.charts import Chart
from plexctl.model.command import CommandResult
from plexctl.plan.documents import Document

TIMEOUT = 120.0
WORLD = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE")
"""Of the environment, what leads to the world and says whom to trust there."""


def pull(helm: Path, chart: Chart, folder: Path) -> Path:
    """Fetch a packed chart into `folder`, which is empty."""
    from_index = (chart.name, "--repo", chart.repository)
    oci = chart.repository.startswith("oci://")
    what = (f"{chart.repository}/{chart.name}",) if oci else from_index
    asked = ["pull", *what, "--version", chart.version, "--destination", str(folder.absolute())]
    world = {name: os.environ[name] for name in WORLD if name in os.environ}
    done = _run(helm, asked, env=world)
    files = list(folder.glob("*.tgz"))
    if done.code != 0 or len(files) != 1:
        raise PlexError(
            f"the chart {chart} cannot be fetched", details=done.stderr.splitlines()[-4:]
        )
    return files[0]


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
    asked = (
        *("template", release, chart.absolute()),
        *("--namespace", namespace, "--include-crds", "--skip-tests", "--values", "-"),
        *(("--kube-version", kubernetes) if kubernetes else ()),
    )
    done = _run(helm, asked, stdin=json.dumps(values).encode())
    if done.code != 0:
        raise PlexError(
            f"the chart {chart.name} does not render", details=done.stderr.splitlines()[-12:]
        )
    try:
        loaded = list(yaml.load_all(done.stdout, yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise PlexError(f"the chart {chart.name} renders no YAML", details=[str(error)]) from error
    return tuple(document for document in loaded if document)


def _run(
    helm: Path,
    words: Sequence[str | Path],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> CommandResult:
    """With no setting, plugin or cache of the user, and nothing of the environment but `env`."""
    with tempfile.TemporaryDirectory(prefix="plexctl-helm-") as folder:
        homes = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS", "HOME")
        return process.run(
            (helm, *words),
            timeout=TIMEOUT,
            cwd=Path(folder),
            env={**(env or {}), **dict.fromkeys(homes, folder), "KUBECONFIG": f"{folder}/none"},
            stdin=stdin,
            bare=True,
            check=False,
        )
