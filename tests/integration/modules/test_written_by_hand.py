"""The modules as a user writes for them: configurations, variables, and mistakes in these."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ...provider.incus.client import Server
from ...provider.tofu import Tofu
from ..support import LOCAL
from .plex import MASTER, WORKER, instances, variables

ROOT = """
terraform {
  required_providers {
    incus = { source = "lxc/incus" }
  }
}

provider "incus" {}

module "lab" {
  source = "../modules/incus-plex"

  plex     = "tofumod"
  acls     = {}
  networks = {}
  volumes  = {}
  profiles = {
    all = {
      host    = "local"
      name    = "tofumod-kube"
      network = null
      config  = {}
      devices = { root = { type = "disk", path = "/", pool = "POOL" } }
    }
  }
  instances = {
    tofumod1 = {
      host       = "local"
      form       = "container"
      image      = "tofumod-a"
      profile    = "all"
      config     = { "user.plex.hash" = "1" }
      devices    = {}
      boot       = null
      generation = "1"
      parent     = null
    }
  }
}
"""


def test_the_module_in_a_configuration_of_a_users_own(tofu: Tofu, server: Server) -> None:
    own = Tofu(tofu.program, tofu.folder.parent / "own", tofu.settings)
    own.folder.mkdir()
    (own.folder / "main.tf").write_text(ROOT.replace("POOL", LOCAL.pool))

    own.run("init")
    own.run("validate")
    own.run("apply", "-auto-approve")

    assert instances(server).keys() == {MASTER}
    own.run("destroy", "-auto-approve")
    assert instances(server) == {}


def test_variables_written_by_hand(tofu: Tofu, server: Server) -> None:
    """The same in the language that people write, with one node and no volume."""
    wanted = variables(tofu, 1, stopped=True) | {"volumes": {}}
    lines = (f"{name} = {json.dumps(value)}" for name, value in wanted.items())
    (tofu.folder / "terraform.tfvars").write_text("\n".join(lines) + "\n")

    tofu.run("validate")
    tofu.run("apply", "-auto-approve")

    assert instances(server).keys() == {MASTER}


def test_files_are_written_as_tofu_writes_them(tofu: Tofu) -> None:
    tofu.run("fmt", "-check", "-recursive", "-diff", str(tofu.folder.parent))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"profile": "local/other"}, "names a profile that is not in"),
        ({"parent": "nobody"}, "`parent` is the name of an instance that has no parent itself"),
        ({"config": {}}, "needs `user.plex.hash`"),
        ({"form": "pod"}, '"container" or "virtual-machine"'),
        ({"boot": "boot.tar"}, "is an absolute path"),
        ({"running": False}, "cannot get a boot tar"),
        ({"devices": {"eth0": {"network": "n"}}}, "needs a `type`"),
        ({"boot": ...}, 'attribute "boot" is required'),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_mistake_is_reported_before_anything_is_created(
    tofu: Tofu, server: Server, change: dict[str, Any], message: str
) -> None:
    wanted = variables(tofu, 2)
    broken = wanted["instances"][WORKER[0]] | change
    wanted["instances"][WORKER[0]] = {k: v for k, v in broken.items() if v is not ...}
    tofu.write(wanted)

    answer = tofu.run("plan", code=1)

    assert message in " ".join(answer.err.replace("│", " ").split())
    assert instances(server) == {}
