"""An Incus server in memory: a host that holds what was created on it, and records the calls."""

from __future__ import annotations

import io
import itertools
import re
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from plexctl.bootstrap.dns import SCRIPT
from plexctl.clients.incus.acls import IncusAcls
from plexctl.clients.incus.disks import IncusDisks
from plexctl.clients.incus.host import IncusHost
from plexctl.clients.incus.images import IncusImages
from plexctl.clients.incus.instances import IncusInstances
from plexctl.clients.incus.networks import IncusNetworks, IncusProfiles
from plexctl.clients.incus.observed import acls_of, subnets
from plexctl.clients.incus.volumes import IncusVolumes
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.command import CommandResult
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.kept import KEPT, kept_name
from plexctl.model.kinds import HostKind
from plexctl.model.observed import (
    RUNNING,
    HostState,
    ObservedAcl,
    ObservedImage,
    ObservedInstance,
    ObservedNetwork,
    ObservedProfile,
    ObservedVolume,
)
from plexctl.model.settings import TAG, Devices, Settings, plain_devices
from plexctl.model.snapshots import ObservedSnapshot, SnapshotName, Storage
from plexctl.model.types import Form
from plexctl.plan.resources.types import ACLS, Forward
from plexctl.workflow.plex.repair import AGE

CONTENT = "rootfs/content"
"""The only file of a disk."""

LOCAL = HostSpec("local", HostKind.INCUS, "/none", "default", 3)
FACTS = HostFacts(cgroup=1, sys_resource=False, cpus=2, memory=8 << 30)


class FakeIncus(IncusHost):
    """State is in the parts: `instances.held`, `images.held` …

    `calls` are all calls in order, as ("instances.create", "demo1"). `before` is called with each
    call before it takes effect, and may raise. With `down` set no call succeeds.
    """

    def __init__(self, spec: HostSpec = LOCAL, state: HostState | None = None) -> None:
        super().__init__(spec)
        self.calls: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda call, name: None
        self.down: UnreachableHostError | None = None
        self.free = 40 << 30
        self.clock_difference = 0.0
        self.pool_names: tuple[str, ...] = (spec.pool,)
        self._lock = threading.Lock()
        state = state or HostState(spec.name, {}, {}, {}, ())
        self.images: FakeImages = FakeImages(self, state)
        self.instances: FakeInstances = FakeInstances(self, state)
        self.networks: FakeNetworks = FakeNetworks(self, state)
        self.acls: FakeAcls = FakeAcls(self, state)
        self.profiles: FakeProfiles = FakeProfiles(self, state)
        self.volumes: FakeVolumes = FakeVolumes(self, state)
        self.disks: FakeSnapshots = FakeSnapshots(self)
        self.kept: FakeKeeper = FakeKeeper(self)

    @property
    def snapshots(self) -> FakeSnapshots:
        return self.disks

    @property
    def disk_copies(self) -> FakeDiskCopies:
        return FakeDiskCopies(self.connection, self.images, self.instances)

    @property
    def keeper(self) -> FakeKeeper:
        return self.kept

    def record(self, call: str, name: str = "") -> None:
        self.before(call, name)
        if self.down:
            raise self.down
        if self.spec.confined and re.match(r"networks\.(?!list$)|acls\.", call):
            raise PlexError(f'{name}: User does not have permission for project "default"')
        with self._lock:
            self.calls.append((call, name))

    def names(self, call: str) -> list[str]:
        """Of the objects that this call was made for, in order."""
        return [name for made, name in self.calls if made == call]

    def calls_for(self, name: str) -> list[str]:
        return [call for call, whose in self.calls if whose == name]

    @property
    def unreachable(self) -> UnreachableHostError | None:
        return self.down

    @property
    def clock_offset(self) -> float:
        return self.clock_difference

    def version(self) -> str:
        if self.down:
            raise self.down
        return "6.0.4"

    def facts(self) -> HostFacts:
        return self.spec.facts or FACTS

    def read(self) -> HostState:
        if self.down:
            raise self.down
        return HostState(
            self.name,
            dict(self.instances.held),
            dict(self.networks.held),
            dict(self.profiles.held),
            tuple(self.images.held),
            dict(self.volumes.held),
            confined=self.spec.confined,
            clock_offset=self.clock_offset,
            acls=acls_of(self.networks.held) if self.spec.confined else dict(self.acls.held),
        )

    def read_instances(self) -> HostState:
        found = self.read()
        return replace(found, networks={}, profiles={}, images=(), volumes={}, acls={})

    def pool_free(self) -> int:
        return self.free

    def pools(self) -> tuple[str, ...]:
        return self.pool_names

    def machine(self) -> tuple[int, int]:
        return self.facts().cpus, self.facts().memory


class _TaggedPart:
    """What instances, networks, profiles and volumes have in common: tags can be added."""

    _host: FakeIncus
    held: dict[str, Any]

    def set_tags(self, name: str, tags: Mapping[str, str], **_: object) -> None:
        kind = type(self).__name__.removeprefix("Fake").lower()
        self._host.record(f"{kind}.set_tags", name)
        if one := self.held.get(name):
            self.held[name] = replace(one, tags={**one.tags, **tags})


class FakeImages(IncusImages):
    def __init__(self, host: FakeIncus, state: HostState) -> None:
        super().__init__(host.connection)
        self._host = host
        self.held = [*state.images]
        self.pieces: dict[str, tuple[bytes, ...]] = {}  # by fingerprint, as they are sent
        self.inside: dict[str, dict[str, str]] = {}  # properties in the tarball of an image
        self.contents: dict[str, str] = {}  # of the disks in uploaded images
        self._numbers = itertools.count()

    def add(self, *names: str, properties: Mapping[str, str] | None = None) -> str:
        """Add an image as if it were there already; returns its fingerprint."""
        fingerprint = f"image{next(self._numbers)}"
        self.held.append(ObservedImage(fingerprint, names, properties or {}, size=1))
        return fingerprint

    def names(self) -> set[str]:
        return {name for image in self.held for name in image.names}

    def list(self) -> tuple[ObservedImage, ...]:
        self._host.record("images.list")
        return tuple(self.held)

    def upload(self, archive: Path) -> str:
        self._host.record("images.upload", archive.name)
        return self.add()

    def download(
        self, server: str, alias: str, properties: Mapping[str, str], form: Form = Form.CONTAINER
    ) -> str:
        self._host.record("images.download", alias)
        return self.add(properties=properties)

    def publish(self, instance: str, name: str, properties: Mapping[str, str]) -> str:
        self._host.record("images.publish", name)
        assert instance in self._host.instances.held
        return self.add(name, properties=properties)

    def publish_snapshot(
        self, instance: str, snapshot: str, properties: Mapping[str, str], timeout: float
    ) -> str:
        self._host.record("images.publish_snapshot", instance)
        _, content = self._host.disks.held[instance][snapshot]
        fingerprint = self.add(properties=properties)
        self.pieces[fingerprint] = (image_of(content),)
        return fingerprint

    def upload_pieces(self, pieces: Iterator[bytes], name: str, timeout: float) -> str:
        self._host.record("images.upload_pieces", name)
        packed = b"".join(pieces)
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            metadata, content = (tar.extractfile(one) for one in ("metadata.yaml", CONTENT))
            assert metadata
            assert content
            properties = yaml.safe_load(metadata)["properties"]
            self.contents[fingerprint := self.add(properties=properties)] = content.read().decode()
        return fingerprint

    def size(self, fingerprint: str) -> int:
        return sum(map(len, self.pieces[fingerprint]))

    def publishing(self) -> bool:
        return False

    def delete(self, fingerprint: str) -> None:
        self._host.record("images.delete", fingerprint)
        self.held = [image for image in self.held if image.fingerprint != fingerprint]

    @contextmanager
    def exported(self, fingerprint: str) -> Iterator[Iterator[bytes]]:
        self._host.record("images.exported", fingerprint)
        yield iter(self.pieces[fingerprint])

    def receive(self, content: Iterator[bytes], fingerprint: str, name: str) -> None:
        """Like the server: compares the digest of all bytes with the fingerprint."""
        self._host.record("images.receive", name)
        pieces = tuple(content)
        if sha256(b"".join(pieces)).hexdigest() != fingerprint:
            raise PlexError("the fingerprint does not match")
        self.pieces[fingerprint] = pieces
        self.held.append(ObservedImage(fingerprint, (name,), self.inside.get(fingerprint, {}), 1))

    def set_properties(self, fingerprint: str, properties: Mapping[str, str | None]) -> None:
        self._host.record("images.set_properties", fingerprint)
        for place, image in enumerate(self.held):
            if image.fingerprint == fingerprint:
                merged = {**image.properties, **properties}
                kept = {key: value for key, value in merged.items() if value is not None}
                self.held[place] = replace(image, properties=kept)

    def set_name(self, fingerprint: str, name: str) -> None:
        self._host.record("images.set_name", name)
        self.held = [
            replace(image, names=(*image.names, name))
            if image.fingerprint == fingerprint
            else image
            for image in self.held
        ]


class FakeInstances(_TaggedPart, IncusInstances):
    def __init__(self, host: FakeIncus, state: HostState) -> None:
        super().__init__(host.connection)
        self._host = host
        self.held = dict(state.instances)
        self.config: dict[str, dict[str, str]] = {}  # of each instance that was ever created
        self.devices: dict[str, dict[str, dict[str, str]]] = {}
        self.profiles: dict[str, tuple[str, ...]] = {}
        self.forced: list[bool] = []  # how instances were stopped
        self.scripts: list[str] = []  # programs that were run
        self.queries: list[str] = []  # instances that queried DNS, in order
        self.without_dns: dict[str, int] = {}  # instance -> queries that are not answered
        self.failing: tuple[tuple[str, ...], ...] = ()  # programs that fail
        self.lacking: set[str] = set()  # programs that no image has
        self.agent_after = 0  # calls that no agent answers yet
        self.kubelet_ages: dict[str, int] = {}  # seconds, of kubelets that were started lately
        self.elsewhere: list[ObservedInstance] = []  # of other projects
        self.losing: list[str] = []  # instances whose files cannot be written, once for each entry

    def list(self) -> Mapping[str, ObservedInstance]:
        self._host.record("instances.list")
        return dict(self.held)

    def of_all_projects(self) -> tuple[ObservedInstance, ...]:
        self._host.record("instances.of_all_projects")
        return (*self.held.values(), *self.elsewhere)

    def create(
        self,
        name: str,
        *,
        image: str,
        form: Form,
        profiles: tuple[str, ...],
        config: Settings,
        devices: Devices,
    ) -> None:
        self._host.record("instances.create", name)
        assert image in {one.fingerprint for one in self._host.images.held}
        if missing := set(profiles) - self._host.profiles.held.keys():
            raise PlexError(f"Requested profile {missing.pop()!r} doesn't exist")
        self.config[name], self.devices[name] = dict(config), plain_devices(devices)
        self.profiles[name] = profiles
        for device in self.devices[name].values():
            source = device.get("source", "")
            assert not source.endswith("-seed") or source in self._host.volumes.held
        self.held[name] = ObservedInstance(name, "Stopped", _tags(config), False, image, name)
        if (content := self._host.images.contents.get(image)) is not None:
            self._host.disks.content[name] = content

    def set_image(self, name: str, fingerprint: str, properties: Mapping[str, str]) -> None:
        self._host.record("instances.set_image", name)
        self.held[name] = replace(self.held[name], image=fingerprint)

    def start(self, name: str) -> None:
        self._host.record("instances.start", name)
        if self.held[name].status == RUNNING:
            raise PlexError("The instance is already running")
        self.held[name] = replace(self.held[name], status=RUNNING, started=True)

    def stop(self, name: str, *, force: bool = True) -> None:
        self._host.record("instances.stop", name)
        if self.held[name].status == "Stopped":
            raise PlexError("The instance is already stopped")
        self.held[name] = replace(self.held[name], status="Stopped")
        self.forced.append(force)

    def delete(self, name: str, *, running: bool = True) -> None:
        self._host.record("instances.delete", name)
        self.held.pop(name, None)
        self._host.disks.held.pop(name, None)
        self._host.disks.content.pop(name, None)

    def push(self, name: str, path: str, content: bytes, *, mode: int) -> bool:
        self._host.record("instances.push", name)
        if lost := name in self.losing:
            self.losing.remove(name)
        return not lost

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float = 30) -> CommandResult:
        self._host.record("instances.execute", name)
        if argv in self.failing:
            return CommandResult(argv, 1, "", "cp: no space left")
        if self.agent_after > 0:
            self.agent_after -= 1
            raise PlexError("VM agent isn't currently running")
        if argv[-1].startswith("find /usr /opt "):
            names = re.findall(r"-name (\S+)", argv[-1])
            return CommandResult(
                argv, 0, "".join(f"{n}\n" for n in names if n not in self.lacking), ""
            )
        if argv == AGE:
            age = self.kubelet_ages.get(name, 86400)
            return CommandResult(argv, 0, f"@1790000000\n@{1790000000 + age}\n", "")
        if SCRIPT in argv:
            self.queries.append(name)
            left = self.without_dns.get(name, 0)
            self.without_dns[name] = max(0, left - 1)
            said = "10.98.160.10 does not answer: timed out" if left else ""
            return CommandResult(argv, int(left > 0), "", said)
        self.scripts.append(" ".join(argv))
        return CommandResult(argv, 0, "", "")

    def changing(self) -> frozenset[str]:
        return frozenset()


class FakeDiskCopies(IncusDisks):
    """The real one, on images and instances in memory."""

    def architecture(self) -> str:
        return "x86_64"


def image_of(content: str) -> bytes:
    """An image of a disk with one file, as Incus packs it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in (("metadata.yaml", "properties: {}\n"), (CONTENT, content)):
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


class FakeKeeper:
    """Keeps instances under another name, with their disks and snapshots."""

    def __init__(self, host: FakeIncus) -> None:
        self._host = host

    def keep(self, node: str, run: str) -> None:
        self._host.record("keeper.keep", node)
        held = self._host.instances.held
        held[node] = replace(held[node], status="Stopped", tags={**held[node].tags, KEPT: run})
        self._host.record("keeper.rename", node)
        self._rename(node, kept_name(node))

    def bring_back(self, node: str) -> None:
        self._host.record("keeper.bring_back", node)
        self._rename(kept_name(node), node)

    def _rename(self, name: str, new: str) -> None:
        held, disks = self._host.instances.held, self._host.disks
        if name not in held or new in held:
            raise PlexError(f"instance {name} cannot be renamed")
        held[new] = replace(held.pop(name), name=new)
        if name in disks.held:
            disks.held[new] = disks.held.pop(name)
        if name in disks.content:
            disks.content[new] = disks.content.pop(name)


class FakeSnapshots:
    """Snapshots of instances. What an instance has on its disk is `content`."""

    def __init__(self, host: FakeIncus) -> None:
        self._host = host
        self.held: dict[str, dict[str, tuple[ObservedInstance, str]]] = {}  # by instance, name
        self.content: dict[str, str] = {}
        self.driver = "btrfs"

    def storage(self) -> Storage:
        self._host.record("snapshots.storage")
        return Storage(self._host.spec.pool, self.driver)

    def list(self, instance: str) -> tuple[ObservedSnapshot, ...]:
        self._host.record("snapshots.list", instance)
        found = []
        for number, (name, (seen, _)) in enumerate(self.held.get(instance, {}).items()):
            if parsed := SnapshotName.parse(name):
                time = datetime(2026, 11, 30, 9, number, tzinfo=UTC)
                found.append(ObservedSnapshot(instance, parsed, time, 1 << 20, seen.tags))
        return tuple(found)

    def freeze(self, instance: str) -> None:
        self._host.record("snapshots.freeze", instance)
        self._set(instance, RUNNING, "Frozen")

    def thaw(self, instance: str) -> None:
        self._host.record("snapshots.thaw", instance)
        if self._host.instances.held[instance].status == "Frozen":
            self._set(instance, "Frozen", RUNNING)

    def create(self, instance: str, snapshot: str) -> None:
        self._host.record("snapshots.create", instance)
        own = self.held.setdefault(instance, {})
        if snapshot in own:
            raise PlexError(f"Snapshot {snapshot} already exists")
        own[snapshot] = (self._host.instances.held[instance], self.content.get(instance, ""))

    def restore(self, instance: str, snapshot: str) -> None:
        self._host.record("snapshots.restore", instance)
        assert self._host.instances.held[instance].status == "Stopped"
        saved, content = self.held[instance][snapshot]
        self._host.instances.held[instance] = replace(saved, status="Stopped")
        self.content[instance] = content

    def delete(self, instance: str, snapshot: str) -> None:
        self._host.record("snapshots.delete", instance)
        self.held.get(instance, {}).pop(snapshot, None)

    def _set(self, instance: str, old: str, new: str) -> None:
        found = self._host.instances.held[instance]
        assert found.status == old
        self._host.instances.held[instance] = replace(found, status=new)


class FakeNetworks(_TaggedPart, IncusNetworks):
    def __init__(self, host: FakeIncus, state: HostState) -> None:
        super().__init__(host.connection)
        self._host = host
        self.held = dict(state.networks)
        self.config: dict[str, dict[str, str]] = {}  # of each network that was ever put
        self.forwards: dict[str, Forward | None] = {}  # of each network for which one was put

    def list(self) -> Mapping[str, ObservedNetwork]:
        self._host.record("networks.list")
        return dict(self.held)

    def put(self, name: str, config: Settings, *, exists: bool) -> None:
        self._host.record("networks.put", name)
        assert exists == (name in self.held)
        if missing := self.acl(config) - self._host.acls.held.keys():
            raise PlexError(f"network ACL {missing.pop()} does not exist")
        self.held[name] = ObservedNetwork(name, _tags(config), tuple(subnets(dict(config))))
        self.config[name] = dict(config)

    def put_forward(self, name: str, forward: Forward | None) -> None:
        self._host.record("networks.put_forward", name)
        self.forwards[name] = forward

    def delete(self, name: str) -> None:
        self._host.record("networks.delete", name)
        host = self._host
        devices = {
            **{one: host.instances.devices.get(one, {}) for one in host.instances.held},
            **{one: host.profiles.devices.get(one, {}) for one in host.profiles.held},
        }
        for user, own in devices.items():
            if any(name in (one.get("network"), one.get("parent")) for one in own.values()):
                raise PlexError(f"network {name} cannot be deleted: in use by {user}")
        self.held.pop(name, None)

    @staticmethod
    def acl(config: Settings) -> set[str]:
        return {value for key, value in config if key == ACLS}


class FakeAcls(IncusAcls):
    def __init__(self, host: FakeIncus, state: HostState) -> None:
        super().__init__(host.connection)
        self._host = host
        self.held = dict(state.acls)
        self.rules: dict[str, tuple[tuple[Settings, ...], tuple[Settings, ...]]] = {}

    def list(self) -> Mapping[str, ObservedAcl]:
        self._host.record("acls.list")
        return dict(self.held)

    def put(
        self,
        name: str,
        config: Settings,
        *,
        ingress: Sequence[Settings],
        egress: Sequence[Settings],
        exists: bool,
    ) -> None:
        self._host.record("acls.put", name)
        assert exists == (name in self.held)
        self.held[name] = ObservedAcl(name, _tags(config))
        self.rules[name] = (tuple(ingress), tuple(egress))

    def delete(self, name: str) -> None:
        self._host.record("acls.delete", name)
        networks = self._host.networks
        used = [one for one in networks.held if networks.config.get(one, {}).get(ACLS) == name]
        if used:
            raise PlexError(f"network-acl {name} cannot be deleted: in use")
        self.held.pop(name, None)


class FakeProfiles(_TaggedPart, IncusProfiles):
    def __init__(self, host: FakeIncus, state: HostState) -> None:
        super().__init__(host.connection)
        self._host = host
        self.held = dict(state.profiles)
        self.devices: dict[str, dict[str, dict[str, str]]] = {}  # of each that was ever put

    def list(self) -> Mapping[str, ObservedProfile]:
        self._host.record("profiles.list")
        return dict(self.held)

    def put(self, name: str, config: Settings, devices: Devices, *, exists: bool) -> None:
        self._host.record("profiles.put", name)
        assert exists == (name in self.held)
        self.held[name] = ObservedProfile(name, _tags(config))
        self.devices[name] = plain_devices(devices)

    def delete(self, name: str) -> None:
        self._host.record("profiles.delete", name)
        instances = self._host.instances
        users = [one for one in instances.held if name in instances.profiles.get(one, ())]
        if users:
            raise PlexError(f"profile {name} cannot be deleted: in use by {users[0]}")
        self.held.pop(name, None)


class FakeVolumes(_TaggedPart, IncusVolumes):
    def __init__(self, host: FakeIncus, state: HostState) -> None:
        super().__init__(host.connection)
        self._host = host
        self.held = dict(state.volumes)
        self.contents: dict[str, bytes] = {}  # of every disc that was ever created

    def list(self) -> Mapping[str, ObservedVolume]:
        self._host.record("volumes.list")
        return dict(self.held)

    def put(self, name: str, pool: str, config: Settings, *, exists: bool) -> None:
        self._host.record("volumes.put", name)
        assert exists == (name in self.held)
        self.held[name] = ObservedVolume(name, _tags(config))

    def create_disc(self, name: str, pool: str, content: bytes, tags: Settings) -> None:
        self._host.record("volumes.create_disc", name)
        assert name not in self.held
        self.held[name] = ObservedVolume(name, _tags(tags), disc=True)
        self.contents[name] = content

    def delete(self, name: str) -> None:
        self._host.record("volumes.delete", name)
        assert name.removesuffix("-seed") not in self._host.instances.held
        self.held.pop(name, None)


def _tags(config: Settings) -> dict[str, str]:
    return {key.removeprefix(TAG): value for key, value in config if key.startswith(TAG)}
