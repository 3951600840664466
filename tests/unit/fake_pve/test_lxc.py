"""Containers on the fake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_pve import FakePve
from tests.unit.fake_pve.support import Client, refused, token

ARCHIVE = "local:vztmpl/debian.tar.zst"
GIVEN = {
    "ostemplate": ARCHIVE,
    "rootfs": "local-lvm:8",
    "net0": "name=eth0,bridge=vmbr0,ip=10.0.0.2/24,gw=10.0.0.1",
}


@pytest.fixture(autouse=True)
def archive(pve: FakePve) -> None:
    pve.add_volume(ARCHIVE, b"zst")


def test_story_of_a_container(pve: FakePve, client: Client) -> None:
    upid = client.node.lxc.post(vmid=201, hostname="c1", tags="B;a", unprivileged=1, **GIVEN)
    assert upid.split(":")[5:7] == ["vzcreate", "201"]
    assert client.wait(upid) == "OK"
    ct = client.node.lxc(201)
    config = ct.config.get()
    assert config["rootfs"] == "local-lvm:vm-201-disk-0,size=8G"
    assert (config["hostname"], config["tags"], config["unprivileged"]) == ("c1", "a;b", 1)
    assert client.wait(ct.status.start.post()) == "OK"
    assert refused(ct.status.start.post)[1] == "CT 201 already running"
    assert ct.interfaces.get()[1]["inet"] == "10.0.0.2/24"
    assert client.api.cluster.resources.get(type="vm")[0]["id"] == "lxc/201"
    assert refused(ct.delete)[1] == "unable to destroy CT 201 - container is running"
    assert client.wait(ct.status.stop.post()) == "OK"
    assert refused(ct.status.stop.post)[1] == "CT 201 not running"
    assert client.wait(ct.delete(purge=1)) == "OK"
    assert not pve.vms


def test_clones_of_a_container(pve: FakePve, client: Client) -> None:
    client.wait(client.node.lxc.post(vmid=200, **GIVEN))
    source = client.node.lxc(200)
    assert "Linked clone" in refused(lambda: source.clone.post(newid=201, full=0))[1]
    source.template.post()
    pve.clone_seconds = 1e9
    source.clone.post(newid=202, hostname="c2")
    assert refused(lambda: source.clone.post(newid=203))[1] == "CT is locked (disk)"
    del pve.vms[200].config["lock"]  # as if the first had ended
    pve.clone_seconds = 0
    assert client.wait(source.clone.post(newid=204, hostname="c4")) == "OK"
    assert client.node.lxc(204).config.get()["hostname"] == "c4"


def test_features_are_for_root(pve: FakePve, tmp_path: Path) -> None:
    rights = {"VM.Allocate", "VM.Config.Options", "VM.Config.Disk", "VM.Config.Network"}
    secret = pve.add_token("me@pve", "t", {*rights, "Datastore.AllocateSpace", "SDN.Use"})
    client = Client(pve, tmp_path, **token(pve, secret))
    create = client.node.lxc.post
    assert refused(lambda: create(vmid=201, features="nesting=1", **GIVEN))[0] == 403
    upid = create(vmid=201, features="nesting=1", unprivileged=1, **GIVEN)
    assert client.wait(upid) == "OK"
    keyctl = refused(lambda: create(vmid=202, features="keyctl=1", unprivileged=1, **GIVEN))
    assert keyctl[0] == 403


def test_archive_that_is_not_there(pve: FakePve, client: Client) -> None:
    missing = {**GIVEN, "ostemplate": "local:vztmpl/no.tar.gz"}
    reason = refused(lambda: client.node.lxc.post(vmid=201, **missing))[1]
    assert reason == "volume 'local:vztmpl/no.tar.gz' does not exist"
    assert not pve.vms
