"""Requirements of the engines: OpenTofu of plexctl's depot, with the provider of plexctl's tests.

That provider has the schema of lxc/incus, and works without a registry of providers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from plexctl.clients.process import run
from tests.bench.results import report

DIRECT, TOFU = ENGINES = ("direct", "tofu")


def environment(engine: str, folder: Path) -> dict[str, str]:
    """The environment for plexctl. PlexError if OpenTofu is not available."""
    if engine == DIRECT:
        return {}
    from tests.provider.mirror import install_mirror
    from tests.provider.tofu import stored_tofu

    report("building OpenTofu if it is not there yet")
    programs = folder / "programs"
    programs.mkdir()
    stored_tofu(programs)
    return {
        "TF_CLI_CONFIG_FILE": str(install_mirror(folder)),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }


def version(engine: str, environment: Mapping[str, str]) -> str:
    if engine == DIRECT:
        return engine
    said = run(["tofu", "version", "-json"], timeout=60, env=environment).stdout
    return f"tofu {json.loads(said)['terraform_version']}, with the provider of plexctl's tests"
