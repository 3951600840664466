"""The client of Helm, which fetches charts and renders them to manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from plexctl.clients import process
from plexctl.clients.environment import NETWORK, chosen
from plexctl.clients.private_folder import private_folder
from plexctl.config.bounded import TREE_NODES, check_yaml
from plexctl.errors import PlexError
from plexctl.model.charts import Chart
from plexctl.model.command import CommandResult
from plexctl.plan.documents import Document

TIMEOUT = 120.0


def pull(helm: Path, chart: Chart, folder: Path) -> Path:
    """Fetch a packed chart into `folder`, which is empty."""
    oci = chart.repository.startswith("oci://")
    arguments = [
        "pull",
        *(() if oci else (f"--repo={chart.repository}",)),
        f"--version={chart.version}",
        f"--destination={folder.absolute()}",
        "--",
        f"{chart.repository}/{chart.name}" if oci else chart.name,
    ]
    done = _run(helm, arguments, env=chosen(NETWORK))
    files = list(folder.glob("*.tgz"))
    if done.code != 0 or len(files) != 1:
        raise PlexError(f"cannot fetch the chart {chart}", details=done.stderr.splitlines()[-4:])
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
    """The manifests of `chart`, packed or a folder, with `values`: CRDs first, no tests.

    Helm calls no cluster and no other server, and uses no settings, plugins or caches of the user.
    `kubernetes` is the version for the chart's conditions. `values` must not contain secrets:
    Helm's error messages quote them.
    """
    arguments = (
        "template",
        *(f"--namespace={namespace}", "--include-crds", "--skip-tests", "--values=-"),
        *((f"--kube-version={kubernetes}",) if kubernetes else ()),
        *("--", release, chart.absolute()),
    )
    done = _run(helm, arguments, stdin=json.dumps(values).encode())
    if done.code != 0:
        raise PlexError(
            f"cannot render the chart {chart.name}", details=done.stderr.splitlines()[-12:]
        )
    try:
        check_yaml(done.stdout, most_nodes=TREE_NODES)
        loaded = list(yaml.load_all(done.stdout, yaml.CSafeLoader))
    except (yaml.YAMLError, ValueError, OverflowError, AttributeError, TypeError) as error:
        # PyYAML raises all of these: for a text that does not fit its tag, and for a date that
        # does not exist.
        raise PlexError(
            f"the chart {chart.name} does not render to valid YAML", details=[str(error)]
        ) from error
    return tuple(document for document in loaded if document)


def _run(
    helm: Path,
    arguments: Sequence[str | Path],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> CommandResult:
    """Run Helm without the user's settings, plugins and caches, and with `env`."""
    with private_folder("plexctl-helm") as folder:
        homes = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS", "HOME")
        own = {**dict.fromkeys(homes, str(folder)), "KUBECONFIG": f"{folder}/none"}
        return process.run(
            (helm, *arguments),
            timeout=TIMEOUT,
            cwd=folder,
            env={**(env or {}), **own},
            stdin=stdin,
            check=False,
        )
