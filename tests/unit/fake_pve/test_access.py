"""Access control: tokens, tickets, privileges."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import requests
from proxmoxer.core import AuthenticationError

from tests.fake_pve import FakePve
from tests.unit.fake_pve.support import Client, refused, token

CLONER = {"VM.Audit", "VM.Clone", "VM.Allocate", "Datastore.AllocateSpace", "SDN.Use"}


def limited(pve: FakePve, folder: Path, privileges: object) -> Client:
    secret = pve.add_token("plexctl@pve", "lab", privileges)  # type: ignore[arg-type]
    return Client(pve, folder, **token(pve, secret))


def test_missing_privilege_is_named_with_its_path(
    pve: FakePve, client: Client, tmp_path: Path
) -> None:
    client.template(9000)
    weak = limited(pve, tmp_path, CLONER - {"VM.Clone"})
    answer = refused(lambda: weak.node.qemu(9000).clone.post(newid=101))
    assert answer == (403, "Permission check failed (/vms/9000, VM.Clone)", {})
    strong = limited(pve, tmp_path, CLONER)
    assert strong.wait(strong.node.qemu(9000).clone.post(newid=101)) == "OK"


def test_privileges_hold_below_their_path(pve: FakePve, client: Client, tmp_path: Path) -> None:
    client.template(9000)
    client.vm(101)
    weak = limited(pve, tmp_path, {"/vms/9000": ["VM.Audit"], "/vms/1": ["VM.Audit"]})
    assert [one["vmid"] for one in weak.api.cluster.resources.get(type="vm")] == [9000]
    assert refused(weak.node.qemu(101).config.get)[0] == 403


@pytest.mark.parametrize(
    ("options", "path", "lacking"),
    [
        ({"cicustom": "user=local:snippets/a"}, "/storage/local", "Datastore.Allocate"),
        ({"scsi0": "local-lvm:8"}, "/storage/local-lvm", "Datastore.AllocateSpace"),
        ({"net0": "virtio,bridge=vmbr0"}, "/sdn/zones/localnetwork/vmbr0", "SDN.Use"),
        ({"hostpci0": "mapping=gpu"}, "/mapping/pci/gpu", "Mapping.Use"),
        ({"memory": 1024}, "/vms/101", "VM.Config.Memory"),
        ({"boot": "order=scsi0"}, "/vms/101", "VM.Config.Disk"),
    ],
)
def test_options_need_their_own_privileges(
    pve: FakePve, tmp_path: Path, options: dict[str, str], path: str, lacking: str
) -> None:
    every = {
        "VM.Allocate", "VM.Config.Disk", "VM.Config.Network", "VM.Config.HWType",
        "VM.Config.Memory", "VM.Config.Cloudinit", "VM.Config.Options", "SDN.Use",
        "Datastore.AllocateSpace", "Datastore.Allocate", "Mapping.Use",
    }  # fmt: skip
    weak = limited(pve, tmp_path, every - {lacking})
    status, reason, _ = refused(lambda: weak.node.qemu.post(vmid=101, **options))
    assert (status, reason) == (403, f"Permission check failed ({path}, {lacking})")
    assert not pve.vms


def test_wrong_secret_and_unknown_token(pve: FakePve, client: Client, tmp_path: Path) -> None:
    login = {"user": "root@pam", "token_name": "t0x", "token_value": str(uuid.uuid4())}
    assert refused(Client(pve, tmp_path, **login).api.nodes.get)[:2] == (
        401,
        "invalid token value!",
    )
    login["token_name"] = "other"
    assert refused(Client(pve, tmp_path, **login).api.nodes.get)[0] == 401


def test_no_credentials(pve: FakePve, client: Client) -> None:
    ca = client.api._backend.auth.verify_ssl
    answer = requests.get(f"{pve.url}/api2/json/nodes", verify=ca, timeout=120)
    assert (answer.status_code, answer.reason) == (401, "No ticket")


def test_ticket_until_it_expires(pve: FakePve, tmp_path: Path) -> None:
    pve.add_user("me@pve", "right")
    with pytest.raises(AuthenticationError):
        Client(pve, tmp_path, user="me@pve", password="wrong")
    client = Client(pve, tmp_path, user="me@pve", password="right")
    client.vm(101)
    pve.expire_tickets()
    late = refused(client.api.nodes.get)
    assert late[:2] == (401, "permission denied - invalid PVE ticket")


def test_ticket_is_renewed_with_itself(pve: FakePve, tmp_path: Path) -> None:
    pve.add_user("me@pve", "right")
    client = Client(pve, tmp_path, user="me@pve", password="right")
    auth = client.api._backend.auth
    first = auth.pve_auth_ticket
    auth._get_new_tokens()
    assert auth.pve_auth_ticket != first
    assert client.api.nodes.get()[0]["node"] == "pve1"


def test_writes_with_a_ticket_need_its_csrf_token(pve: FakePve, tmp_path: Path) -> None:
    pve.add_user("me@pve", "right")
    client = Client(pve, tmp_path, user="me@pve", password="right")
    client.api._backend.auth.csrf_prevention_token = "00000000:forged"
    assert client.api.nodes.get()
    answer = refused(lambda: client.node.qemu.post(vmid=101))
    assert answer[:2] == (401, "Permission denied - invalid csrf token")


def test_requests_keep_the_secrets_that_came(pve: FakePve, client: Client) -> None:
    client.vm(101, cipassword="hidden!")
    posts = [one for one in pve.requests if one.method == "POST"]
    assert posts[0].path == "/nodes/pve1/qemu"
    assert posts[0].params["cipassword"] == "hidden!"
    assert posts[0].headers["authorization"].startswith("PVEAPIToken=root@pam!t0x=")
