"""A host in memory that stands for Incus, as far as a bake asks for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plexctl.depot.sources import SourceName
from plexctl.depot.store import Artifact, Stored
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.hosts import HostFacts, HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.observed import (
    HostState,
    ObservedImage,
    ObservedInstance,
    ObservedNetwork,
    ObservedVolume,
)
from plexctl.model.settings import TAG
from plexctl.model.types import Base, BaseSource, Form, Layer, NodeType, Size
from plexctl.plan.recipes import Recipe, recipe

LAB = "0badcafe"
FACTS = HostFacts(cgroup=1, sys_resource=False, cpus=2, memory=8 << 30)
BASE = Base(
    "debian12",
    "bookworm",
    Form.CONTAINER,
    BaseSource.DEBOOTSTRAP,
    ("systemd",),
    None,
    None,
    None,
)
LAYERS = (Layer("runtime", ("runc",)), Layer("kube", ()))
KUBE = NodeType("kube", "kubenode", BASE, LAYERS, kubernetes=True, privileged=True, size=Size())
DIGESTS = {("base", "base"): "b", ("kubenode", "runtime"): "r", ("kubenode", "kube"): "k"}


def kube(**digests: str) -> Recipe:
    """The recipe of type `kube`; `kube="k2"` is one whose layer `kube` has changed."""
    roles = {(role, layer): digests.get(layer, old) for (role, layer), old in DIGESTS.items()}
    return recipe(KUBE, "1.36.3", roles=roles, artifacts={"runc": "1"}, facts=FACTS)


@dataclass
class FakeIncus:
    """Has what was made of it, and remembers what was asked of it."""

    host: HostSpec = field(
        default_factory=lambda: HostSpec("local", HostKind.INCUS, "/none", "default", 3)
    )
    seen: dict[str, ObservedInstance] = field(default_factory=dict)
    networks: dict[str, ObservedNetwork] = field(default_factory=dict)
    stored: list[ObservedImage] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    free: int = 40 << 30
    disks: dict[str, dict[str, str]] = field(default_factory=dict)  # the stage of each instance
    started: int = 0
    forced: list[bool] = field(default_factory=list)  # how instances were stopped
    kept: dict[str, ObservedVolume] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)  # of volumes
    failing: tuple[tuple[str, ...], ...] = ()  # what fails
    scripts: list[str] = field(default_factory=list)
    made: dict[str, tuple[dict[str, str], dict[str, dict[str, str]]]] = field(default_factory=dict)
    agent_after: int = 0  # calls that no agent answers yet
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def read(self) -> HostState:
        images, volumes = tuple(self.stored), dict(self.kept)
        return HostState("local", dict(self.seen), dict(self.networks), {}, images, volumes)

    def images(self) -> tuple[ObservedImage, ...]:
        self.asked.append("images")
        return tuple(self.stored)

    def volumes(self) -> dict[str, ObservedVolume]:
        self.asked.append("volumes")
        return dict(self.kept)

    def pool_free(self) -> int:
        return self.free

    def publishing(self) -> bool:
        return False

    def create(self, name: str, *, image: str, config: Any, devices: Any, **_: Any) -> None:
        assert image in {one.fingerprint for one in self.stored}
        tags = {k.removeprefix(TAG): v for k, v in config if k.startswith(TAG)}
        self.disks[name] = dict(dict(devices).get("stage", ()))
        self.made[name] = (dict(config), {n: dict(d) for n, d in devices})
        for device in self.made[name][1].values():
            source = device.get("source", "")
            assert not source.endswith("-seed") or source in self.kept
        self.asked.append(f"create {name.rpartition('-')[0]}")
        self.seen[name] = ObservedInstance(
            name, "Stopped", tags, started=False, image=image, uuid=name
        )

    def start(self, name: str) -> None:
        assert name in self.seen
        self.started += 1

    def stop(self, name: str, *, force: bool = True) -> None:
        assert name in self.seen
        self.forced.append(force)

    def execute(self, name: str, argv: tuple[str, ...], *, timeout: float) -> CommandResult:
        assert name in self.seen
        if argv in self.failing:
            return CommandResult(argv, 1, "", "cp: no space left")
        if self.agent_after > 0:
            self.agent_after -= 1
            raise PlexError("VM agent isn't currently running")
        self.scripts.append(" ".join(argv))
        return CommandResult(argv, 0, "", "")

    def put_disk(self, name: str, pool: str, content: bytes, tags: Any) -> None:
        assert name not in self.kept
        plain = {k.removeprefix(TAG): v for k, v in tags if k.startswith(TAG)}
        self.kept[name] = ObservedVolume(name, plain, disc=True)
        self.contents[name] = content

    def put_volume(self, name: str, pool: str, config: Any, *, exists: bool) -> None:
        assert exists == (name in self.kept)
        tags = {k.removeprefix(TAG): v for k, v in config if k.startswith(TAG)}
        self.kept[name] = ObservedVolume(name, tags)

    def delete_volume(self, name: str) -> None:
        assert f"{name.removesuffix('-seed')}" not in self.seen
        del self.kept[name]

    def put_network(self, name: str, config: Any, *, exists: bool) -> None:
        assert not exists
        tags = {k.removeprefix(TAG): v for k, v in config if k.startswith(TAG)}
        self.networks[name] = ObservedNetwork(name, tags)

    def delete_instance(self, name: str) -> None:
        del self.seen[name]

    def delete_network(self, name: str) -> None:
        del self.networks[name]

    def delete_image(self, fingerprint: str) -> None:
        self.stored = [image for image in self.stored if image.fingerprint != fingerprint]

    def publish(self, instance: str, name: str, properties: Mapping[str, str]) -> str:
        assert instance in self.seen
        return self.have(name, properties=properties)

    def have(self, *names: str, properties: Mapping[str, str] | None = None) -> str:
        """Store an image; its fingerprint."""
        fingerprint = f"image{next(self.numbers)}"
        self.stored.append(ObservedImage(fingerprint, names, properties or {}, size=1))
        return fingerprint

    def names(self) -> set[str]:
        return {name for image in self.stored for name in image.names}


def stored(folder: Path) -> dict[str, Stored]:
    """The depot of `KUBE`: one program, stored as blobs are."""
    blob = folder / "4ad5b0"
    blob.write_bytes(b"runc")
    blob.chmod(0o444)
    runc = Artifact("runc", "runc", "1.4.0", "4ad5b0", 4, blob, 0o755)
    return {"runc": Stored("runc", "1.4.0", SourceName.DIR, (runc,), ())}


def role_folder(root: Path, name: str, *layers: str) -> Path:
    """A role whose layers have one task each."""
    tasks = root / name / "tasks"
    tasks.mkdir(parents=True, exist_ok=True)
    for layer in layers:
        (tasks / f"{layer}.yml").write_text("- name: Do it\n  ansible.builtin.ping:\n")
    return root / name
