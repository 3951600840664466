"""The fake's answers fit the API's schema: the fake fails otherwise."""

from __future__ import annotations

from pathlib import Path

from tests.fake_pve import FakePve, schema
from tests.fake_pve.answers import faults
from tests.fake_pve.routing import ROUTES
from tests.unit.fake_pve.support import CLOUD, Client


def test_every_route_is_an_endpoint() -> None:
    for method, template in ROUTES:
        assert method in schema.endpoints()[template], (method, template)


def test_every_read_answers_in_the_shape_of_the_api(tmp_path: Path) -> None:
    archive = "local:vztmpl/debian.tar.zst"
    with FakePve(nodes=["pve1", "pve2"]) as pve:
        pve.node_down("pve2")
        pve.add_mapping("gpu", ["node=pve1,path=0000:01:00.0,id=10de:2204"])
        pve.add_volume(CLOUD)
        pve.add_volume(archive)
        client = Client(pve, tmp_path)
        client.template(9000)
        client.api.pools.post(poolid="lab")
        client.vm(101, memory=1024, tags="a;b", pool="lab")
        upid = client.node.lxc.post(vmid=201, ostemplate=archive, rootfs="local-lvm:4", start=1)
        client.wait(upid)
        client.wait(client.node.qemu(101).status.start.post())
        names = {
            "node": "pve1", "upid": upid, "storage": "local", "volume": CLOUD, "id": "gpu",
        }  # fmt: skip
        asked = 0
        for method, template in ROUTES:
            if method != "GET" or template.endswith(("/exec-status", "/file-read")):
                continue
            vmid = 201 if "/lxc/" in template else 101
            assert client.api(template.format(vmid=vmid, **names)).get() is not None, template
            asked += 1
        assert asked > 25


def test_faults_are_found() -> None:
    rule = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"vmid": {"type": "integer"}, "name": {"type": "string", "optional": 1}},
        },
    }
    assert list(faults([{"vmid": 1}, {"vmid": "2", "name": "a"}], rule)) == []
    assert list(faults([{"name": 3}], rule)) == [
        "data[0].vmid is missing",
        "data[0].name is 3, not of type string",
    ]
    assert list(faults({}, rule)) == ["data is no list"]
