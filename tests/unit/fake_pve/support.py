"""Helpers of the tests of the fake: a client, and waiting for tasks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException

from tests.fake_pve import FakePve

GIB = 1024**3
CLOUD = "local:import/debian.qcow2"


class Client:
    """proxmoxer on a fake, over HTTPS with its certificate checked."""

    def __init__(self, pve: FakePve, folder: Path, **login: Any) -> None:
        ca = folder / f"{pve.port}.pem"
        ca.write_text(pve.certificate_pem)
        if not login:
            secret = pve.add_token("root@pam", f"t{len(pve.access.tokens)}x")
            login = token(pve, secret)
        self.api = ProxmoxAPI("127.0.0.1", port=pve.port, verify_ssl=str(ca), timeout=120, **login)
        self.node = self.api.nodes("pve1")

    def wait(self, upid: str) -> str:
        """How a task ended."""
        return str(self.status(upid)["exitstatus"])

    def status(self, upid: str) -> dict[str, Any]:
        """The status of a task that has ended."""
        task = self.api.nodes(upid.split(":")[1]).tasks(upid)
        for _ in range(3000):
            status: dict[str, Any] = task.status.get()
            if status["status"] == "stopped":
                return status
            time.sleep(0.01)
        raise TimeoutError(upid)

    def vm(self, vmid: int, **options: Any) -> None:
        """A VM with a disk, a card and an agent."""
        given = {"scsi0": "local-lvm:8", "net0": "virtio,bridge=vmbr0", "agent": 1, **options}
        assert self.wait(self.node.qemu.post(vmid=vmid, **given)) == "OK"

    def template(self, vmid: int, **options: Any) -> None:
        """A template of such a VM."""
        self.vm(vmid, **options)
        assert self.wait(self.node.qemu(vmid).template.post()) == "OK"


def token(pve: FakePve, secret: str) -> dict[str, str]:
    """How proxmoxer logs in with this secret."""
    name = next(name for name, (_, known) in pve.access.tokens.items() if known == secret)
    user, _, token_name = name.partition("!")
    return {"user": user, "token_name": token_name, "token_value": secret}


def refused(act: Callable[[], Any]) -> tuple[int, str, dict[str, Any]]:
    """Status, reason and per-field errors of a call that must fail."""
    with pytest.raises(ResourceException) as caught:
        act()
    return caught.value.status_code, caught.value.content, caught.value.errors or {}
