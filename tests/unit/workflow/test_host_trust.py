"""The verb `host trust`: the script for an administrator, and the lab's confinement."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins
from plexctl.errors import PlexError, UnreachableHostError, UsageError
from plexctl.keys.seed import RootSeed
from plexctl.model.observed import ObservedInstance
from plexctl.model.secret import Secret
from plexctl.plan.resources.types import resource_hash
from plexctl.provision.direct.engine import DirectEngine
from plexctl.workflow.core.context import Context
from plexctl.workflow.host import trust
from tests.fake_incus import FakeIncus

SEED = RootSeed(Secret(b"s" * 32))
LAB = SEED.lab_id
PROJECT = f"plexctl-{LAB[:24]}"
URL = "https://127.0.0.1:8443"
CERTIFICATE = "ab" * 32

INCUS = """\
#!/bin/sh
# Records calls; `network get` prints who owns plex-demo.
printf '%s\\n' "$*" >> "$CALLS"
case "$1 $2" in
  "network get") [ -n "$OWNER" ] || exit 1; echo "$OWNER" ;;
  "network show" | "query local:/1.0/"*) exit 1 ;;
esac
"""


def context(root: Path, hosts: str = "hosts: {local: {}}\n", plex: str = "workers: 1\n") -> Context:
    file = root / "clusters" / "demo" / "plex.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(plex)
    (root / "clusters" / "hosts.yaml").write_text(hosts)
    pins = load_pins(architecture="amd64")
    lab = load_lab(root, pins.versions())
    fakes = {name: FakeIncus(spec) for name, spec in lab.hosts.items()}
    return Context(lab, SEED, pins, fakes, DirectEngine(fakes), root / "cache", lambda _: None)


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return context(tmp_path / "lab", "hosts:\n  local: {}\n")


def run(script: str, folder: Path, owner: str = "") -> tuple[int, list[str], str]:
    """Run the script with a command `incus` that records its calls; code, calls and errors."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "incus").write_text(INCUS)
    (folder / "bin" / "incus").chmod(0o755)
    calls = folder / "calls"
    calls.write_text("")
    env = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "CALLS": str(calls), "OWNER": owner}
    done = subprocess.run(
        ("/bin/sh", "-c", script), env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, calls.read_text().splitlines(), done.stderr


def bodies(calls: list[str], kind: str) -> dict[str, Mapping[str, Any]]:
    """What was created of a kind, by name."""
    prefix = "query --request POST --data "
    found = {}
    for call in calls:
        if call.startswith(prefix) and call.endswith(f" local:/1.0/{kind}"):
            body = json.loads(call.removeprefix(prefix).rpartition(" ")[0])
            found[body["name"]] = body
    return found


def test_the_script_creates_the_project_the_bridges_and_the_restricted_trust(
    ctx: Context, tmp_path: Path
) -> None:
    code, calls, _ = run(trust.trust_script(ctx, "local"), tmp_path)
    assert code == 0

    project = bodies(calls, "projects")[PROJECT]["config"]
    assert (project["restricted"], project["features.networks"]) == ("true", "false")
    assert project["restricted.networks.access"] == "plexctl-bake,plex-demo"
    assert project["restricted.devices.disk.paths"] == str(ctx.cache / "bake")
    assert project["restricted.containers.privilege"] == "allow"
    assert project["restricted.devices.proxy"] == "block"
    assert project["restricted.snapshots"] == project["restricted.backups"] == "allow"
    (certificate,) = bodies(calls, "certificates").values()
    assert (certificate["restricted"], certificate["projects"]) == (True, [PROJECT])
    bridge = bodies(calls, "networks")["plex-demo"]
    assert bridge["config"]["user.plex.lab"] == LAB
    (network,) = trust.lab_networks(ctx, ctx.lab.hosts["local"])
    assert f"user.plex.hash={resource_hash(network)}" in bridge["description"].split()
    acl = trust.lab_acls(ctx, ctx.lab.hosts["local"])[network.name]
    assert bodies(calls, "network-acls")["plex-demo"]["ingress"] == [dict(acl.ingress[0])]
    assert f"user.plex.acl={resource_hash(acl)}" in bridge["description"].split()
    order = [call.rpartition("/")[2] for call in calls if "POST" in call]
    assert order.index("network-acls") < len(order) - 1 - order[::-1].index("networks")
    assert "PRIVATE KEY" not in trust.trust_script(ctx, "local")


def test_a_lab_of_vms_alone_is_allowed_no_privileges(tmp_path: Path) -> None:
    """On a host that bakes, containers are still held up by a raw option of LXC."""
    lab = context(tmp_path, plex="type: kubevm\n")
    config = trust.project_config(lab, lab.lab.hosts["local"])
    assert config["restricted.containers.privilege"] == "unprivileged"
    assert config["restricted.devices.unix-char"] == "block"


@pytest.mark.parametrize(("owner", "code"), [(LAB, 0), (LAB[:8], 0), ("f" * 32, 1)])
def test_the_script_changes_no_network_of_another_lab(
    ctx: Context, tmp_path: Path, owner: str, code: int
) -> None:
    ended, calls, said = run(trust.trust_script(ctx, "local"), tmp_path, owner)
    assert ended == code
    assert bool(bodies(calls, "projects")) == (code == 0)
    if code:
        assert f"refusing to change network plex-demo: it belongs to {owner}" in said
        assert not bodies(calls, "networks").keys() & {"plex-demo"}


def test_values_of_the_lab_are_no_commands_of_the_script(tmp_path: Path) -> None:
    hostile = tmp_path / "a'; touch boom; '"
    lab = context(hostile)
    lines = trust.trust_script(lab, "local").splitlines()
    config = shlex.split(next(line for line in lines if line.startswith("put projects ")))
    assert config[0] in ("own", "put", "incus")
    code, calls, _ = run(trust.trust_script(lab, "local"), tmp_path)
    paths = bodies(calls, "projects")[PROJECT]["config"]["restricted.devices.disk.paths"]
    assert (code, paths) == (0, str(hostile / "cache" / "bake"))
    assert not Path("boom").exists()


def confine(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, *, known: bool = True, default: bool = False
) -> None:
    """A server that trusts the lab (`known`), maybe in the project default too."""
    monkeypatch.setattr(trust, "known", lambda *_: known)

    def client(spec: Any, _: object) -> FakeIncus:
        fake = FakeIncus(spec)
        monkeypatch.setattr(fake.connection, "may_use", lambda _: default, raising=False)
        return fake

    monkeypatch.setattr(trust, "IncusHost", client)


def test_the_fields_are_written_once_the_server_confines_the_lab(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    confine(ctx, monkeypatch)
    assert trust.trust(ctx, "local", URL, CERTIFICATE).changed

    file = ctx.lab.root / "clusters" / "hosts.yaml"
    wanted = {"url": URL, "certificate": CERTIFICATE, "project": PROJECT, "this_machine": True}
    assert yaml.safe_load(file.read_text())["hosts"]["local"] == wanted
    again = context(ctx.lab.root, file.read_text())
    assert again.lab.hosts["local"].confined
    assert not trust.trust(again, "local", URL, CERTIFICATE).changed


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"known": False}, "does not trust this lab"),
        ({"default": True}, "its certificate is not restricted"),
    ],
)
def test_nothing_is_written_while_the_server_refuses_the_lab_or_refuses_it_nothing(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, server: dict[str, bool], said: str
) -> None:
    before = (ctx.lab.root / "clusters" / "hosts.yaml").read_bytes()
    confine(ctx, monkeypatch, **server)
    with pytest.raises(PlexError, match=said) as refused:
        trust.trust(ctx, "local", URL, CERTIFICATE)
    assert "`plexctl host trust local --print`" in str(refused.value.hint)
    assert (ctx.lab.root / "clusters" / "hosts.yaml").read_bytes() == before


def test_nodes_outside_of_the_project_are_destroyed_first(ctx: Context) -> None:
    """The confined lab could neither see nor delete them."""
    local = ctx.hosts["local"]
    assert isinstance(local, FakeIncus)
    tags = {"lab": LAB, "plex": "demo"}
    local.instances.held["demo1"] = ObservedInstance("demo1", "Running", tags, True, "f", "u")
    with pytest.raises(UsageError, match="not in its project: demo"):
        trust.trust_script(ctx, "local")
    local.down = UnreachableHostError("host local: Permission denied")
    assert PROJECT in trust.trust_script(ctx, "local")


def test_a_confined_lab_plans_everything_but_its_bridge(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(ctx.lab.hosts["local"], url=URL, project=PROJECT, this_machine=True)
    fake = FakeIncus(spec)
    with pytest.raises(PlexError, match="User does not have permission"):
        fake.networks.put("plex-demo", (), exists=False)
    assert fake.read().confined


def test_hosts_that_cannot_confine_a_lab_are_refused(ctx: Context) -> None:
    with pytest.raises(UsageError, match="no host elsewhere"):
        trust.trust_script(ctx, "elsewhere")
