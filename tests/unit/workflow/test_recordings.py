"""Recordings that a lab makes itself: which are missing, how one is made, what is born of it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from plexctl.bake.baker import BAKER, LONGEST, this_process
from plexctl.bake.builder import BakedImage
from plexctl.bake.cleanup import needs_cleanup, sweep
from plexctl.bootstrap import rest
from plexctl.clients.kube.client import Kube
from plexctl.config.load import load_lab
from plexctl.depot.components import SourceName
from plexctl.depot.index import Artifact, Index, Stored
from plexctl.depot.pins import load_pins
from plexctl.errors import PlexError
from plexctl.keys.seed import RootSeed
from plexctl.model.events import Event, Marked, Noted, StepBegan
from plexctl.model.host_spec import HostFacts
from plexctl.model.observed import ObservedAcl, ObservedNetwork, ObservedProfile
from plexctl.model.plex import Plex
from plexctl.model.secret import Secret
from plexctl.plan import genesis
from plexctl.plan.genesis.recording import Recording
from plexctl.plan.genesis.reference import reference_networks
from plexctl.plan.plan import plan_plex
from plexctl.plan.resources.types import resource_hash
from plexctl.provision.direct.engine import DirectEngine
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.run import WHOLE_LAB, start
from plexctl.workflow.images import recordings, reference
from plexctl.workflow.images.recipes import wanted_types
from plexctl.workflow.images.recordings import read, recording_of, store, unrecorded
from plexctl.workflow.images.reference import record_missing
from plexctl.workflow.plex import plan as planning
from tests.fake_incus import FakeIncus
from tests.fake_kube import FakeKube, objects_at_rest

VERSION = "1.36.3"
IMAGE = "plex-kube-0123456789ab"
SHIPPED = Path(genesis.__file__).parent / f"kubernetes-{VERSION}.json"
RECORDED = {"objects": {"/registry/namespaces/a": {"kind": "Namespace"}}, "pods": {"p": {}}}
OTHER_FACTS = HostFacts(2, sys_resource=True, cpus=2, memory=8 << 30)

INCUS = """\
hosts:
  far: {url: 'https://10.0.0.7:8443', certificate: '%s', address: 10.0.0.7,
        facts: {cgroup: 1, sys_resource: false, cpus: 2, memory: 8GiB}}
  local: {address: 10.0.0.6}
""" % ("00" * 32)
CONFINED = """\
hosts:
  local: {url: 'https://10.0.0.6:8443', certificate: '%s', address: 10.0.0.6,
          this_machine: true, project: plexctl-1a2b,
          facts: {cgroup: 1, sys_resource: false, cpus: 2, memory: 8GiB}}
""" % ("00" * 32)
PROXMOX = """\
hosts:
  local: {}
  pve1: {kind: proxmox, url: 'https://10.0.0.7:8006', certificate: '%s', bridge: vmbr0,
         ssh: root@10.0.0.7, proxmox: {token: plexctl@pve!lab},
         facts: {cgroup: 1, sys_resource: false, cpus: 2, memory: 8GiB}}
""" % ("00" * 32)
BRIDGE = "networks: {link: bridge, nodes: 10.0.8.0/24, router: 10.0.8.1}\n"


@dataclass
class Lab:
    """A lab whose depot has the program `genesis`, on hosts in memory."""

    ctx: Context
    hosts: dict[str, FakeIncus]
    events: list[Event] = field(default_factory=list)

    def wanted(self) -> dict[tuple[str, str], Any]:
        return {
            k: v for plex in self.ctx.lab.plexes.values() for k, v in wanted_types(plex).items()
        }

    def unrecorded(self) -> dict[str, str | None]:
        """The host of each missing recording, by its name."""
        found = unrecorded(self.ctx, self.wanted(), VERSION, lambda _: None)
        return {name: place.host if place else None for name, place in found.items()}

    def places(self) -> list[str | None]:
        return list(self.unrecorded().values())

    def record(self) -> None:
        wanted = self.wanted()
        images = {key: BakedImage(IMAGE, "image0", changed=True) for key in wanted}
        with start(self.ctx.lab.state, "bake", WHOLE_LAB, self.ctx.listener) as run:
            record_missing(self.ctx, wanted, images, VERSION, run, lambda _: None)

    def stored(self) -> dict[str, Any]:
        (file,) = (self.ctx.cache / "recordings").iterdir()
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Noted)]

    @property
    def steps(self) -> list[str]:
        return [event.title for event in self.events if isinstance(event, StepBegan)]


def lab_of(root: Path, hosts: str = INCUS, *, program: bytes = b"x", **plexes: str) -> Lab:
    (root / "clusters").mkdir(exist_ok=True)
    (root / "clusters" / "hosts.yaml").write_text(hosts)
    for name, text in plexes.items():
        (root / "clusters" / name).mkdir(exist_ok=True)
        (root / "clusters" / name / "plex.yaml").write_text(text)
    pins = load_pins(architecture="amd64")
    found = load_lab(root, pins.versions())
    clients = {name: FakeIncus(spec) for name, spec in found.hosts.items()}
    for host in clients.values():
        host.images.add(IMAGE)
    seed = RootSeed(Secret(b"a seed for tests, of 32 bytes..."))
    events: list[Event] = []
    cache = root / "cache"
    index = Index.of(cache / "depot")
    component = pins.release(VERSION).component("genesis")
    digest, made = hashlib.sha256(program).hexdigest(), root / "made"
    made.write_bytes(program)
    index.blobs.take(made, digest)
    path = index.blobs.path(digest)
    artifacts = (Artifact("genesis", "genesis", "1", digest, len(program), path, 0o755),)
    index.put(component.key, Stored("genesis", "1", SourceName.DIR, artifacts if program else ()))
    ctx = Context(found, seed, pins, clients, DirectEngine(clients), cache, events.append)
    return Lab(ctx, clients, events)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Reference clusters on `hosts`: their `plexes`, `seeds`, and a `change` of their objects."""
    found: dict[str, Any] = {"plexes": [], "seeds": [], "change": lambda objects: None}

    @contextmanager
    def connected(plex: Plex, seed: RootSeed, *, super_admin: bool) -> Iterator[Kube]:
        assert super_admin
        found["plexes"].append(plex)
        found["seeds"].append(seed)
        yield FakeKube(f"{plex.name}1", found["hosts"])

    def read_all(kube: FakeKube) -> dict[str, Any]:
        objects = objects_at_rest(kube.masters[0])
        found["change"](objects)
        return objects

    monkeypatch.setattr(reference, "cluster", connected)
    monkeypatch.setattr(reference, "local_routes", lambda: ())
    monkeypatch.setattr(rest, "read_objects", read_all)
    monkeypatch.setattr(rest, "QUIET", 0.0)
    return found


def test_nothing_is_missing_for_a_version_whose_recording_is_part_of_plexctl(
    tmp_path: Path,
) -> None:
    lab = lab_of(tmp_path, demo="workers: 0\n")

    assert unrecorded(lab.ctx, lab.wanted(), VERSION) == {}
    assert lab.places() == ["far"]


def test_a_host_of_this_machine_is_preferred(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, demo="host: far\n", other="host: local\n")

    assert lab.places() == ["local"]


@pytest.mark.parametrize(
    ("plex", "hosts", "expected"),
    [
        ("genesis: false\n", INCUS, []),
        ("engine: tofu\n", INCUS, []),
        ("kubeadm: {cluster: {featureGates: {RootlessControlPlane: true}}}\n", INCUS, []),
        ("type: kubevm\n", INCUS, [None]),
        ("{}\n", CONFINED, [None]),
        (f"host: pve1\ntype: kubevm\n{BRIDGE}", PROXMOX, [None]),
        (f"host: pve1\n{BRIDGE}", PROXMOX, ["local"]),
    ],
)
def test_where_a_missing_recording_is_made(
    tmp_path: Path, plex: str, hosts: str, expected: list[str | None]
) -> None:
    assert lab_of(tmp_path, hosts, demo=plex).places() == expected


def test_an_image_for_another_kernel_runs_on_no_host_of_this_machine(tmp_path: Path) -> None:
    hosts = PROXMOX.replace("cgroup: 1", "cgroup: 2")

    assert lab_of(tmp_path, hosts, demo=f"host: pve1\n{BRIDGE}").places() == [None]


def test_without_the_program_that_writes_etcd_nothing_is_missing(tmp_path: Path) -> None:
    assert lab_of(tmp_path, program=b"", demo="{}\n").places() == []


@pytest.mark.parametrize(
    "damage",
    [lambda text: "", lambda text: text[:-9], lambda text: "[]", lambda text: '{"objects": {}}'],
)
def test_a_damaged_recording_is_missing(tmp_path: Path, damage: Callable[[str], str]) -> None:
    lab = lab_of(tmp_path, demo="{}\n")
    (name,) = lab.unrecorded()
    store(lab.ctx, name, RECORDED)
    assert lab.places() == []

    file = tmp_path / "cache" / "recordings" / f"{name}.json"
    file.write_text(damage(file.read_text()))
    assert lab.places() == ["far"]
    assert read(lab.ctx, name) is None


def test_recordings_that_nobody_has_used_for_long_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "committed", lambda _: None)
    lab = lab_of(tmp_path, demo="{}\n")
    (own,) = lab.unrecorded()
    for name, days in {own: 400, "kubernetes-1.2.3-old": 31, "kubernetes-1.2.4-new": 29}.items():
        store(lab.ctx, name, RECORDED)
        written = time.time() - days * 86_400
        os.utime(tmp_path / "cache" / "recordings" / f"{name}.json", (written, written))
    (tmp_path / "cache" / "recordings" / "notes.txt").write_text("not ours")

    size = len(json.dumps(RECORDED, separators=(",", ":")))
    assert recordings.prune(lab.ctx) == recordings.Pruned(("kubernetes-1.2.3-old",), size)
    assert recordings.prune(lab.ctx) == recordings.Pruned((), 0)
    assert lab.places() == []
    assert sorted(file.name for file in (tmp_path / "cache" / "recordings").iterdir()) == [
        "kubernetes-1.2.4-new.json",
        f"{own}.json",
        "notes.txt",
    ]


def test_a_recording_is_made_of_a_cluster_that_is_deleted(
    tmp_path: Path, cluster: dict[str, Any]
) -> None:
    lab = lab_of(tmp_path, demo="host: local\n")
    host = cluster["hosts"] = lab.hosts
    before = lab.hosts["local"].read()

    lab.record()

    assert lab.notes == []
    assert lab.places() == []
    assert len(lab.stored()["objects"]) == len(objects_at_rest("rec1")) - 1
    (pod,) = lab.stored()["pods"].values()
    assert pod["spec"]["nodeName"] == "${node.name}"
    assert lab.hosts["local"].read() == before
    assert host["far"].calls == []
    (plex,), (seed,) = cluster["plexes"], cluster["seeds"]
    assert seed.lab_id != lab.ctx.seed.lab_id
    assert lab.hosts["local"].names("instances.create") == [f"{plex.name}1"]
    assert not any(isinstance(event, Marked) for event in lab.events)
    assert not (tmp_path / "cache" / "bake" / "local" / "tmp").exists()


def test_on_another_machine_a_port_leads_to_the_api(
    tmp_path: Path, cluster: dict[str, Any]
) -> None:
    lab = lab_of(tmp_path, demo="host: far\n")
    cluster["hosts"] = lab.hosts

    lab.record()

    (plex,) = cluster["plexes"]
    assert plex.api_forward is not None
    assert str(plex.api_forward.address) == "10.0.0.7"
    assert lab.hosts["far"].instances.devices[f"{plex.name}1"]["api"]["type"] == "proxy"
    assert lab.places() == []


def test_its_networks_are_free(tmp_path: Path, cluster: dict[str, Any]) -> None:
    lab = lab_of(tmp_path, demo="host: local\n")
    cluster["hosts"] = lab.hosts
    first = reference_networks(())
    lab.hosts["local"].networks.held["plex-rec-x"] = ObservedNetwork(
        "plex-rec-x", {}, (first.nodes, first.pods)
    )

    lab.record()

    (plex,) = cluster["plexes"]
    assert not plex.networks.nodes.overlaps(first.nodes)
    assert not plex.networks.pods.overlaps(first.pods)


@pytest.mark.parametrize(
    "call", ["acls.put", "networks.put", "instances.create", "instances.start"]
)
def test_a_failure_is_noted_and_leaves_nothing(
    tmp_path: Path, cluster: dict[str, Any], call: str
) -> None:
    lab = lab_of(tmp_path, demo="host: local\n")
    cluster["hosts"] = lab.hosts
    before = lab.hosts["local"].read()

    def fail(made: str, _: str) -> None:
        if made == call:
            raise PlexError("the pool is full")

    lab.hosts["local"].before = fail
    lab.record()

    (note,) = lab.notes
    assert note.startswith("no recording of Kubernetes 1.36.3 for new clusters")
    assert "the pool is full" in note
    assert lab.hosts["local"].read() == before
    assert lab.places() == ["local"]  # the next bake tries again


def test_a_cluster_that_does_not_come_to_rest_is_noted_and_deleted(
    tmp_path: Path, cluster: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_of(tmp_path, demo="host: local\n")
    cluster["hosts"] = lab.hosts
    before = lab.hosts["local"].read()
    monkeypatch.setattr(rest, "DEADLINE", 0.0)
    cluster["change"] = lambda objects: objects.pop("/registry/serviceaccounts/kube-system/default")

    lab.record()

    (note,) = lab.notes
    assert "Namespace kube-system lacks /registry/serviceaccounts/kube-system/default" in note
    assert lab.hosts["local"].read() == before


def test_a_recording_that_is_not_neutral_is_not_stored(
    tmp_path: Path, cluster: dict[str, Any]
) -> None:
    lab = lab_of(tmp_path, demo="host: local\n")
    cluster["hosts"] = lab.hosts
    uid = "5d3b1f0a-1c2d-4e5f-8a9b-0c1d2e3f4a5b"
    cluster["change"] = lambda objects: objects["/registry/clusterroles/admin"].update(label=uid)

    lab.record()

    (note,) = lab.notes
    assert f"a UID: {uid}" in note
    assert lab.places() == ["local"]


def test_where_none_can_be_made_it_is_said(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, demo="type: kubevm\n")

    lab.record()

    (note,) = lab.notes
    assert note.endswith(
        "there is no container of Incus on a host where the lab can create networks"
    )
    assert lab.steps == []


def killed(name: str) -> dict[str, str]:
    """Tags of an object that a killed recording of another lab left."""
    ended = replace(this_process(), began=this_process().began - LONGEST - 1, pid=1)
    return {"lab": "f" * 32, "plex": name, "bake": "recording", BAKER: str(ended)}


def test_what_a_killed_recording_left_is_deleted_by_whoever_comes_next(tmp_path: Path) -> None:
    host = lab_of(tmp_path, demo="{}\n").hosts["local"]
    before, name = host.read(), "plex-rec-bcdfgh"
    host.acls.held[name] = ObservedAcl(name, killed("rec-bcdfgh"))
    assert needs_cleanup(host.read())
    host.networks.held[name] = ObservedNetwork(name, killed("rec-bcdfgh"))
    host.networks.config[name] = {"security.acls": name}
    host.profiles.held[name] = ObservedProfile(name, killed("rec-bcdfgh"))

    sweep(host, "0" * 32)

    assert host.read() == before


def test_a_plex_is_born_of_a_recording_of_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "committed", lambda _: None)
    lab = lab_of(tmp_path, demo="host: local\n", tofu="host: local\nengine: tofu\n")
    names = {("local", "kube"): IMAGE}
    demo, tofu = (lab.ctx.lab.plexes[name] for name in ("demo", "tofu"))
    grown = plan_plex(demo, planning.inputs(lab.ctx, demo, names)).instances[0]
    (name,) = lab.unrecorded()
    recorded = json.loads(SHIPPED.read_text())
    store(lab.ctx, name, recorded)

    inputs = planning.inputs(lab.ctx, demo, names)
    born = plan_plex(demo, inputs).instances[0]

    assert inputs.recording == Recording(json.dumps(recorded, separators=(",", ":")))
    assert len(born.boot) > len(grown.boot)
    assert resource_hash(born) == resource_hash(grown)  # no running node is replaced
    assert recording_of(lab.ctx, tofu) is None
