"""What goes wrong on the way: failures, lost answers, nodes that are down, silence."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import requests

from tests.fake_pve import FakePve
from tests.unit.fake_pve.support import Client, refused


def test_next_request_of_a_kind_fails_once(pve: FakePve, client: Client) -> None:
    pve.fail_next("GET", r"/config$", 596, "Broken pipe")
    client.vm(101)
    vm = client.node.qemu(101)
    assert refused(vm.config.get)[:2] == (596, "Broken pipe")
    assert vm.config.get()["digest"]


def test_answer_is_lost_after_the_work_was_done(pve: FakePve, client: Client) -> None:
    pve.fail_next("POST", r"/qemu$", 596, "Connection timed out", after=True)
    assert refused(lambda: client.node.qemu.post(vmid=101))[0] == 596
    pve.wait_tasks()
    assert pve.vms[101].lock == ""


def test_connection_closed_without_an_answer(pve: FakePve, client: Client) -> None:
    pve.fail_next("GET", "^/version$", 0, "")
    with pytest.raises(requests.ConnectionError):
        client.api.version.get()
    assert client.api.version.get()


def test_node_that_is_down(tmp_path: Path) -> None:
    with FakePve(nodes=["pve1", "pve2"]) as pve:
        client = Client(pve, tmp_path)
        pve.node_down("pve2")
        other = client.api.nodes("pve2")
        empty = {"errors": b""}  # what proxmoxer makes of an answer without a body
        assert refused(other.qemu.get) == (595, "No route to host", empty)
        assert {one["node"]: one["status"] for one in client.api.nodes.get()} == {
            "pve1": "online",
            "pve2": "offline",
        }
        pve.node_down("pve2", 596, "Connection timed out")
        assert refused(other.qemu.get)[:2] == (596, "Connection timed out")
        pve.node_up("pve2")
        assert other.qemu.get() == []


def test_node_that_is_not_there(client: Client) -> None:
    status, reason, _ = refused(client.api.nodes("pve9").qemu.get)
    assert (status, reason.startswith("hostname lookup 'pve9' failed")) == (500, True)


def test_guest_of_another_node(tmp_path: Path) -> None:
    with FakePve(nodes=["pve1", "pve2"]) as pve:
        client = Client(pve, tmp_path)
        client.vm(101)
        reason = refused(client.api.nodes("pve2").qemu(101).config.get)[1]
        assert reason == "Configuration file 'nodes/pve2/qemu-server/101.conf' does not exist"


def test_frozen_host_accepts_the_request_and_does_not_answer(pve: FakePve, client: Client) -> None:
    pve.freeze()
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(client.api.version.get()))
    client.api._backend.auth.timeout = 0.2
    with pytest.raises(requests.Timeout):
        client.api.version.get()
    client.api._backend.auth.timeout = 30
    asking.start()
    assert answers == []
    pve.thaw()
    asking.join(30)
    assert len(answers) == 1


def test_second_clone_may_meet_the_file_lock_instead(pve: FakePve, client: Client) -> None:
    client.template(9000)
    pve.busy_source, pve.clone_seconds = "lockfile", 1e9
    clone = client.node.qemu(9000).clone
    clone.post(newid=101)
    reason = refused(lambda: clone.post(newid=102))[1]
    assert reason == "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout"
    pve.busy_source = "task"
    assert client.wait(clone.post(newid=102)) == reason
    pve.busy_source, pve.clone_seconds = "allowed", 0
    assert client.wait(clone.post(newid=102)) == "OK"
