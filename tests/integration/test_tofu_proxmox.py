"""The module proxmox-plex with the pinned OpenTofu, a provider of our own and a fake Proxmox VE."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from plexctl.config.builtin import builtin
from plexctl.plan.boot.seed import seed_iso
from tests.fake_pve import FakePve
from tests.proxmox import SECRETS, client_of, with_template

from ..provider.mirror import Served, install_mirror
from ..provider.tofu import Tofu, stored_tofu

PROXMOX = Served("proxmox", "bpg/proxmox", "0.78.2")
NAMES = ("lifecycle1", "lifecycle2", "lifecycle3")


@dataclass
class Estate:
    tofu: Tofu
    pve: FakePve
    template: int
    variables: dict[str, Any]

    def write(self, names: tuple[str, ...] = NAMES, **generation: str) -> None:
        instances = {name: self.instance(name, generation.get(name, "1")) for name in names}
        text = json.dumps({**self.variables, "instances": instances})
        (self.tofu.folder / "terraform.tfvars.json").write_text(text)

    def instance(self, name: str, generation: str) -> dict[str, Any]:
        seed = self.tofu.folder / f"{name}.iso"
        seed.write_bytes(seed_iso(b"keys of " + name.encode(), "", "", ""))
        return {
            "host": "pve1",
            "template": self.template,
            "cores": 2,
            "memory": 2048,
            "disk": 5,
            "mac": f"10:66:6a:00:00:0{name[-1]}",
            "bridge": "vmbr0",
            "vlan": 7,
            "pci": [],
            "description": f'plexctl: {{"plex": "lifecycle", "node": "{name}"}}',
            "seed": str(seed),
            "seed_name": f"plex-seed-{name}.iso",
            "generation": generation,
            "parent": None if name == "lifecycle1" else "lifecycle1",
        }

    def vms(self) -> dict[str, str]:
        guests = (guest for guest in self.pve.vms.values() if not guest.template)
        return {guest.name: guest.config["vmgenid"] for guest in guests}


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with FakePve(task_seconds=0.02, clone_seconds=0.2) as pve, pytest.MonkeyPatch.context() as env:
        folder = tmp_path_factory.mktemp("tofu")
        template = with_template(client_of(pve))
        (folder / "ca.pem").write_text(pve.certificate_pem)
        (folder / "token").write_text(SECRETS[pve.port])
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            env.setenv(name, str(folder / "ca.pem"))
        shutil.copytree(builtin("terraform"), folder / "terraform")
        root = folder / "terraform" / "proxmox"
        settings = install_mirror(folder, PROXMOX)
        tofu = Tofu(stored_tofu(tmp_path_factory.mktemp("bin")), root, settings)
        variables = {
            "endpoint": pve.url,
            "token": "plexctl@pve!lab",
            "token_file": str(folder / "token"),
            "plex": "lifecycle",
            "hosts": {
                "pve1": {"node": "pve1", "iso": "local", "pool": "local-lvm", "linked": True}
            },
        }
        estate = Estate(tofu, pve, int(template), variables)
        estate.write()
        tofu.run("init")
        yield estate


def test_it_fits_the_schema_of_the_real_provider(estate: Estate) -> None:
    assert json.loads(estate.tofu.run("validate", "-json").out)["valid"]


def test_vms_are_made_of_the_template_and_then_nothing_is_left_to_do(estate: Estate) -> None:
    estate.tofu.run("apply", "-auto-approve")
    config = next(g for g in estate.pve.vms.values() if g.name == "lifecycle2").config

    assert set(estate.vms()) == set(NAMES)
    assert "bridge=vmbr0,tag=7" in config["net0"]
    assert config["ide2"].startswith("local:iso/plex-seed-lifecycle2.iso")
    assert "size=5G" in config["scsi0"]
    assert estate.tofu.run("plan", "-detailed-exitcode").code == 0


def test_a_worker_is_recreated_alone_and_a_master_with_its_workers(estate: Estate) -> None:
    before = estate.vms()
    estate.write(lifecycle3="2")
    estate.tofu.run("apply", "-auto-approve")
    one = estate.vms()
    estate.write(lifecycle1="2", lifecycle3="2")
    estate.tofu.run("apply", "-auto-approve")
    every = estate.vms()

    assert {name for name in NAMES if before[name] != one[name]} == {"lifecycle3"}
    assert {name for name in NAMES if one[name] != every[name]} == set(NAMES)


def test_scaling_takes_one_away(estate: Estate) -> None:
    before = estate.vms()
    estate.write(("lifecycle1", "lifecycle2"), lifecycle1="2")
    estate.tofu.run("apply", "-auto-approve")

    assert estate.vms() == {name: before[name] for name in ("lifecycle1", "lifecycle2")}


def test_neither_state_nor_plan_has_a_secret(estate: Estate) -> None:
    estate.tofu.run("plan", "-out=saved")
    shown = estate.tofu.run("show", "-json", "saved").out
    state = (estate.tofu.folder / "terraform.tfstate").read_text()

    for text in (shown, state):
        assert SECRETS[estate.pve.port] not in text
        assert "keys of" not in text


def test_destroying_leaves_neither_vms_nor_seeds(estate: Estate) -> None:
    estate.tofu.run("destroy", "-auto-approve")

    assert estate.vms() == {}
    assert list(estate.pve.storages["local"].volumes) == []
