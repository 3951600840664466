"""Images of VMs: a verified disk, a VM that boots to be baked, and no objects left."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from plexctl.bake import incus as incus_bake
from plexctl.bake import vm
from plexctl.bake.builder import BakedImage, BakeSetup
from plexctl.bake.clean import CLEAN, VM_CLEAN
from plexctl.bake.incus import IncusBuilder
from plexctl.clients import ansible
from plexctl.clients.web import Progress, Web
from plexctl.errors import PlexError
from plexctl.model.host_spec import VM_FACTS
from plexctl.model.observed import ObservedVolume
from plexctl.model.types import Base, BaseSource, Form
from plexctl.plan.recipes import Recipe, recipe
from tests.fake_incus import FakeIncus
from tests.null_reporter import NullReporter

from .host import APPLIED, BASE, DIGESTS, KUBE, LAB, SEED, role_folder, stored

DISK = b"QFI\xfb a disk"
URL = "https://cloud.example.test/20260101/debian-12.qcow2"
CLOUD = replace(
    BASE,
    form=Form.VM,
    source=BaseSource.CLOUD,
    url=URL,
    checksum="sha512:" + hashlib.sha512(DISK).hexdigest(),
)
SERVED = replace(
    BASE, form=Form.VM, source=BaseSource.IMAGES, server="https://i.example.test", image="debian/12"
)


class FakeWeb(Web):
    """Has one file, and counts its downloads."""

    def __init__(self, content: bytes = DISK) -> None:
        super().__init__()
        self.content, self.asked = content, 0

    def download(
        self, url: str, target: Path, progress: Progress | None = None, headers: Any = None
    ) -> str:
        assert url == URL
        self.asked += 1
        target.write_bytes(self.content)
        return "not looked at"


def fetched(web: FakeWeb, folder: Path) -> Path:
    assert CLOUD.checksum is not None
    return vm.fetched(web, URL, CLOUD.checksum, folder, NullReporter())


def of(base: Base) -> Recipe:
    node_type = replace(KUBE, base=base)
    return recipe(node_type, "1.36.3", roles=DIGESTS, artifacts={"runc": "1"}, facts=VM_FACTS)


def test_a_disk_is_downloaded_once(tmp_path: Path) -> None:
    web = FakeWeb()

    first = fetched(web, tmp_path / "disks")

    assert fetched(web, tmp_path / "disks") == first
    assert first.read_bytes() == DISK
    assert web.asked == 1


def test_a_disk_that_was_damaged_is_downloaded_again(tmp_path: Path) -> None:
    web = FakeWeb()
    fetched(web, tmp_path).write_bytes(b"damaged")

    assert fetched(web, tmp_path).read_bytes() == DISK
    assert web.asked == 2


def test_a_disk_with_another_checksum_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(PlexError, match=r"debian-12\.qcow2: the checksum does not match"):
        fetched(FakeWeb(b"another"), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_an_image_is_its_metadata_and_its_disk(tmp_path: Path) -> None:
    disk = tmp_path / "x.qcow2"
    disk.write_bytes(DISK)
    work = tmp_path / "work"
    work.mkdir()

    with tarfile.open(vm.packed(disk, "debian12", {"plexctl.lab": LAB}, work)) as tar:
        assert tar.getnames() == ["metadata.yaml", "rootfs.img"]
        files = {name: tar.extractfile(name) for name in tar.getnames()}
        assert files["rootfs.img"].read() == DISK  # type: ignore[union-attr]
        metadata = yaml.safe_load(files["metadata.yaml"].read())  # type: ignore[union-attr]
    assert metadata["properties"] == {"plexctl.lab": LAB}


@pytest.fixture
def incus() -> FakeIncus:
    incus = FakeIncus()
    incus.instances.agent_after = 1
    return incus


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, incus: FakeIncus) -> list[dict[str, object]]:
    """The arguments of roles; Ansible, downloads and waits are replaced."""
    given: list[dict[str, object]] = []

    def cloud_image(_: FakeIncus, base: Base, properties: Any, *__: Any) -> str:
        return incus.images.add(properties=properties)

    monkeypatch.setattr(vm, "cloud_image", cloud_image)
    monkeypatch.setattr(incus_bake, "root_image", cloud_image)

    def apply(play: ansible.Play, **_: object) -> ansible.Applied:
        given.append(dict(play.variables))
        return APPLIED

    monkeypatch.setattr(ansible, "apply", apply)
    return given


@pytest.fixture
def make(tmp_path: Path, incus: FakeIncus, variables: object) -> Callable[[Recipe], BakedImage]:
    role_folder(tmp_path, "base", "base")
    role_folder(tmp_path, "kubenode", "runtime", "kube")
    artifacts = stored(tmp_path)

    def make(wanted: Recipe) -> BakedImage:
        work = tmp_path / "work"
        setup = BakeSetup(artifacts, lambda role: tmp_path / role, SEED, NullReporter(), work)
        return IncusBuilder(incus, setup).ensure(wanted, VM_FACTS)

    return make


@pytest.mark.parametrize("base", [CLOUD, SERVED])
def test_a_vm_is_baked_while_it_runs_and_stops_by_itself(
    base: Base,
    incus: FakeIncus,
    make: Callable[[Recipe], BakedImage],
    variables: list[dict[str, object]],
) -> None:
    make(of(base))

    assert incus.instances.forced == [False, False, False]
    assert {given["plex_form"] for given in variables} == {"vm"}
    assert {given["plex_cgroup"] for given in variables} == {2}
    for name, config in incus.instances.config.items():
        devices = incus.instances.devices[name]
        assert "raw.lxc" not in config
        assert int(config["limits.memory"]) > 1 << 30
        assert ("agent" in devices) == (base is CLOUD)
    assert any("systemctl is-system-running --wait" in script for script in incus.instances.scripts)
    assert (
        sum("apt-get" in script and "cloud-init" in script for script in incus.instances.scripts)
        == 1
    )


def test_only_the_lowest_layer_of_a_cloud_image_has_a_seed(
    incus: FakeIncus, make: Callable[[Recipe], BakedImage]
) -> None:
    make(of(CLOUD))

    with_seed = [name for name, devices in incus.instances.devices.items() if "seed" in devices]
    assert len(with_seed) == 1
    assert with_seed[0].startswith("plex-bake-base-")
    assert incus.volumes.contents[f"{with_seed[0]}-seed"][32769:32774] == b"CD001"
    assert incus.volumes.held == {}
    assert incus.instances.held == {}


def test_seeds_of_a_killed_bake_are_deleted(
    incus: FakeIncus, make: Callable[[Recipe], BakedImage]
) -> None:
    tagged = ObservedVolume("plex-bake-base-1-1-seed", {"lab": LAB, "bake": "plex-x"}, disc=True)
    untagged = ObservedVolume("plex-bake-base-2-2-seed", {}, disc=True)
    others = ObservedVolume("plex-bake-base-3-3-seed", {"lab": "other", "bake": "x"}, disc=True)
    users = ObservedVolume("plex-bake-seed", {})
    incus.volumes.held = {one.name: one for one in (tagged, untagged, others, users)}

    make(of(SERVED))

    assert set(incus.volumes.held) == {others.name, users.name}


def test_files_of_running_services_of_a_vm_are_not_deleted() -> None:
    assert "find run" in CLEAN
    assert "find run" not in VM_CLEAN
    assert "cloud-init clean" in VM_CLEAN
    assert CLEAN.splitlines()[:3] == VM_CLEAN.splitlines()[:3]


def test_the_form_and_the_disk_decide_the_recipe() -> None:
    other = replace(CLOUD, checksum="sha512:" + "1" * 128)

    assert len({of(base).digest for base in (BASE, SERVED, CLOUD, other)}) == 4
