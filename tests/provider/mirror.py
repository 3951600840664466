"""A folder from which OpenTofu and Terraform have providers, with those of this package in it."""

from __future__ import annotations

import platform
import sys
import sysconfig
from dataclasses import dataclass
from itertools import product
from pathlib import Path

REGISTRIES = ("registry.opentofu.org", "registry.terraform.io")
_SYSTEMS = {"x86_64": "linux_amd64", "aarch64": "linux_arm64"}


@dataclass(frozen=True, slots=True)
class Served:
    """A provider of this package, and under which address and version it is found."""

    name: str  # the package beside this file
    address: str
    version: str


INCUS = Served("incus", "lxc/incus", "1.1.0")

# OpenTofu keeps a hash of this file, so all that changes is outside of it. Without the usual
# start-up of Python (-IS) it is there in a third of the time.
_LAUNCHER = """#!{python} -IS
import sys

sys.path[:0] = {folders!r}

from provider.copies import copy_of

copy_of("{name}")
"""
_SETTINGS = """disable_checkpoint = true

provider_installation {{
  filesystem_mirror {{
    path    = "{mirror}"
    include = [{included}]
  }}
}}
"""


def install_mirror(folder: Path, *served: Served) -> Path:
    """Lay it out in `folder`; the file that TF_CLI_CONFIG_FILE is to name.

    Without `served`, the provider lxc/incus alone.
    """
    chosen = served or (INCUS,)
    mirror = folder / "mirror"
    for registry, one in product(REGISTRIES, chosen):
        system = mirror / registry / one.address / one.version / _SYSTEMS[platform.machine()]
        system.mkdir(parents=True, exist_ok=True)
        kind = one.address.rpartition("/")[2]
        launcher = system / f"terraform-provider-{kind}_v{one.version}"
        launcher.write_text(
            _LAUNCHER.format(python=sys.executable, folders=_folders(), name=one.name)
        )
        launcher.chmod(0o755)
    names = (f'"{registry}/{one.address}"' for registry, one in product(REGISTRIES, chosen))
    included = ", ".join(names)
    settings = folder / "tofu.rc"
    settings.write_text(_SETTINGS.format(mirror=mirror, included=included))
    return settings


def _folders() -> list[str]:
    """Where this package is, and all that is installed beside this Python."""
    paths = sysconfig.get_paths()
    return list(dict.fromkeys((str(Path(__file__).parents[1]), paths["purelib"], paths["platlib"])))
