"""A lab with the plex `lifecycle` on a Proxmox host, which is a fake one over real HTTPS.

Its nodes boot nothing, so no API of a cluster answers: nobody waits for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from plexctl.model.secret import Secret
from plexctl.model.types import Form
from plexctl.workflow.core.context import Context, open_lab
from plexctl.workflow.host.tokens import store_host_token
from plexctl.workflow.images.recipes import names_of_images
from tests.fake_pve import FakePve, Guest
from tests.proxmox import TOKEN, documented_privileges

from ..provider.mirror import Served, install_mirror
from ..provider.tofu import stored_tofu
from .support import Lab

PLEX = "lifecycle"
PROVIDER = Served("proxmox", "bpg/proxmox", "0.78.2")

# Each process of `pytest -n` has a network of its own.
NETWORK = "10.76.{}".format(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))

# What a process is given is seen by all that may look at it.
RECORDER = """\
#!/bin/sh
{{ env; echo "$@"; }} >> {log}
exec {program} "$@"
"""

BASE = "small"
BASES: dict[Form, dict[str, object]] = {
    Form.VM: {
        "form": "vm",
        "source": "cloud",
        "url": "https://images.test/cloud.qcow2",
        "checksum": "sha512:" + "0" * 128,
        "packages": ["qemu-guest-agent"],
    },
    Form.CONTAINER: {"source": "debootstrap", "packages": ["systemd"]},
}


@dataclass(frozen=True)
class Story:
    engine: str
    lab: Lab
    pve: FakePve
    ctx: Context
    secret: str

    @property
    def folder(self) -> Path:
        """Where OpenTofu works."""
        return self.lab.root / ".plexctl" / "plexes" / PLEX / "tofu"

    @property
    def image(self) -> str:
        """Name of the image that all nodes are made of."""
        (name,) = names_of_images(self.ctx, self.ctx.lab.plexes[PLEX]).values()
        return name

    def nodes(self) -> dict[str, Guest]:
        return {guest.name: guest for guest in self.pve.vms.values() if not guest.template}

    def identities(self) -> dict[str, str]:
        """An identifier may be given again; this one is of each VM alone."""
        return {name: guest.config["vmgenid"] for name, guest in self.nodes().items()}

    def plexctl(self, *words: str, code: int | None = 0) -> str:
        answer = self.lab.run(*words, code=code, timeout=120)
        return answer.out + answer.err


@contextmanager
def proxmox_lab(
    pve: FakePve,
    folder: Callable[[str], Path],
    *,
    engine: str = "direct",
    form: Form = Form.VM,
    environment: dict[str, str] | None = None,
    privileges: tuple[str, ...] = (),
    base: str = BASE,
    others: dict[str, dict[str, object]] | None = None,
    **host: object,
) -> Iterator[Story]:
    """Nothing is up yet. The token has the documented privileges, and `privileges`.

    `others` are further hosts, and `host` is more of the Proxmox host.
    """
    root, home = folder("lab"), folder("home")
    hosts = {"pve1": {**_host(pve), **host}, **(others or {})}
    _write_lab(root, hosts, engine, form, base)
    lab = Lab(root, home, environment={"XDG_CACHE_HOME": str(home), **(environment or {})})
    lab.run("trust", "-y")  # the role and the bases of `_write_lab`
    secret = pve.add_token("plexctl@pve", "lab", [*documented_privileges(), *privileges])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home))
        ctx = open_lab(root, cache=home / "plexctl", listener=lambda event: None)
    store_host_token(ctx.lab, ctx.seed, "pve1", Secret(secret.encode()))
    with _no_way_out():
        yield Story(engine, lab, pve, ctx, secret)


@contextmanager
def _no_way_out() -> Iterator[None]:
    """The API of the plex has an invented address: nothing that is sent there leaves the machine.

    On a network with a proxy that answers for every address, its certificate would be refused.
    """
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    route = ("unreachable", f"{NETWORK}.0/24")
    subprocess.run((*sudo, "ip", "route", "replace", *route), check=True, timeout=20)
    try:
        yield
    finally:
        subprocess.run((*sudo, "ip", "route", "delete", *route), check=False, timeout=20)


def with_tofu(folder: Path) -> dict[str, str]:
    """An environment in which OpenTofu is found, and what it is given is written down."""
    (folder / "real").mkdir()
    (folder / "bin").mkdir()
    wrapper = folder / "bin" / "tofu"
    log = folder / "given.log"
    wrapper.write_text(RECORDER.format(log=log, program=stored_tofu(folder / "real")))
    wrapper.chmod(0o755)
    return {
        "TF_CLI_CONFIG_FILE": str(install_mirror(folder, PROVIDER)),
        "PATH": f"{wrapper.parent}:{os.environ['PATH']}",
        "GIVEN": str(log),
    }


def _host(pve: FakePve) -> dict[str, object]:
    return {
        "kind": "proxmox",
        "url": pve.url,
        "certificate": pve.fingerprint.replace(":", "").lower(),
        "bridge": "vmbr0",
        "pool": "local-lvm",
        "proxmox": {"token": TOKEN},
    }


def _write_lab(
    root: Path, hosts: dict[str, dict[str, object]], engine: str, form: Form, base: str
) -> None:
    networks = {
        "nodes": f"{NETWORK}.0/24",
        "pods": "10.78.0.0/16",
        "services": "10.79.0.0/16",
        "link": "bridge",
        "router": f"{NETWORK}.1",
        "vlan": 7,
    }
    files: dict[str, object] = {
        "clusters/hosts.yaml": {"hosts": hosts},
        f"clusters/{PLEX}/plex.yaml": {
            "type": "box",
            "host": "pve1",
            "workers": 2,
            "engine": engine,
            "networks": networks,
        },
        "types/box.yaml": {
            "role": "box",
            "base": base,
            "kubernetes": True,
            "privileged": form is Form.CONTAINER,
            "layers": [{"name": "box"}],
            "size": {"cpu": 2, "memory": "3GiB", "disk": "20GiB"},
        },
        "types/bases.yaml": {BASE: {"release": "bookworm", **BASES[form]}},
        "roles/box/tasks/box.yml": [
            {"name": "Do nothing", "ansible.builtin.debug": {"msg": "nothing"}}
        ],
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
