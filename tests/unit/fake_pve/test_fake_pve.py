"""VMs on the fake, told through proxmoxer over HTTPS."""

from __future__ import annotations

import hashlib
import re
import ssl
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fake_pve import FakePve, Guest
from tests.unit.fake_pve.support import CLOUD, GIB, Client, refused

NEVER = 1e9  # seconds that no test sees the end of


def test_story_of_a_template_and_its_clones(pve: FakePve, client: Client) -> None:
    pve.add_volume(CLOUD, size=3 * GIB)
    client.template(
        9000, name="base", scsi0=f"local-lvm:0,import-from={CLOUD}", ide2="local-lvm:cloudinit"
    )
    base = client.node.qemu(9000)
    assert base.config.get()["scsi0"] == "local-lvm:base-9000-disk-0,size=3G"

    pve.clone_seconds = NEVER
    base.clone.post(newid=101, name="a1")
    assert refused(lambda: base.clone.post(newid=102)) == (500, "VM is locked (clone)", {})
    assert refused(client.node.qemu(101).status.start.post)[1] == "VM is locked (clone)"
    assert 102 not in pve.vms

    pve.vms[9000].clones = 0  # as if the first had ended
    pve.clone_seconds, pve.agent_seconds = 0, NEVER
    assert client.wait(base.clone.post(newid=103, name="a3")) == "OK"
    vm = client.node.qemu(103)
    assert vm.config.get()["name"] == "a3"
    assert client.wait(vm.status.start.post()) == "OK"
    assert vm.status.current.get()["status"] == "running"
    assert refused(vm.agent.ping.post)[1] == "QEMU guest agent is not running"
    pve.agent_seconds = 0
    assert vm.agent.ping.post() == {"result": {}}

    assert refused(vm.delete) == (500, "VM 103 is running - destroy failed", {})
    assert client.wait(vm.status.stop.post()) == "OK"
    assert client.wait(vm.delete(purge=1)) == "OK"
    assert 103 not in pve.vms
    assert not [name for name in pve.storages["local-lvm"].volumes if "-103-" in name]


def test_certificate_has_the_fingerprint(pve: FakePve, client: Client) -> None:
    pem = ssl.get_server_certificate(("127.0.0.1", pve.port))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    assert pve.fingerprint.replace(":", "") == digest
    assert client.api.version.get()["release"] == "9.2"


def test_task_runs_as_long_as_its_setting_says(pve: FakePve, client: Client) -> None:
    client.vm(101)
    pve.task_seconds = NEVER
    upid = client.node.qemu(101).status.start.post()
    assert re.fullmatch(
        r"UPID:pve1:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:qmstart:101:root@pam!t0x:", upid
    )
    status = client.node.tasks(upid).status.get()
    assert status["status"] == "running"
    assert "exitstatus" not in status
    assert client.node.qemu(101).status.current.get()["status"] == "stopped"


def test_failed_task_says_why(pve: FakePve, client: Client) -> None:
    client.vm(101)
    pve.fail_task("qmstart", "start failed: QEMU exited with code 1")
    upid = client.node.qemu(101).status.start.post()
    assert client.wait(upid) == "start failed: QEMU exited with code 1"
    log = client.node.tasks(upid).log.get()
    assert log[-1] == {"n": 1, "t": "TASK ERROR: start failed: QEMU exited with code 1"}
    assert client.wait(client.node.qemu(101).status.start.post()) == "OK"


def test_linked_clones_need_a_template(pve: FakePve, client: Client) -> None:
    client.vm(101)
    reason = refused(lambda: client.node.qemu(101).clone.post(newid=102, full=0))[1]
    disk = "'local-lvm:vm-101-disk-0' (scsi0)"
    assert reason == f"Linked clone feature is not supported for {disk}"
    assert 102 not in pve.vms
    assert client.wait(client.node.qemu(101).clone.post(newid=102)) == "OK"


def test_linked_clone_takes_no_storage(client: Client) -> None:
    client.template(9000)
    code, reason, _ = refused(
        lambda: client.node.qemu(9000).clone.post(newid=101, storage="local-lvm")
    )
    assert (code, reason) == (500, "parameter 'storage' not allowed for linked clones")
    full = client.node.qemu(9000).clone.post(newid=101, storage="local-lvm", full=1)
    assert client.wait(full) == "OK"


def test_template_never_starts(client: Client) -> None:
    client.template(9000)
    upid = client.node.qemu(9000).status.start.post()
    assert client.wait(upid) == "you can't start a vm if it's a template"


def test_number_is_free_until_taken(client: Client) -> None:
    assert client.api.cluster.nextid.get() == client.api.cluster.nextid.get() == "100"
    client.vm(100)
    assert client.api.cluster.nextid.get() == "101"
    taken = refused(lambda: client.api.cluster.nextid.get(vmid=100))
    assert taken[2] == {"vmid": "VM 100 already exists"}
    again = refused(lambda: client.node.qemu.post(vmid=100))
    assert again[1] == "unable to create VM 100 - VM 100 already exists on node 'pve1'"


def test_digest_guards_a_config(client: Client) -> None:
    client.vm(101, description="one")
    config = client.node.qemu(101).config
    digest = config.get()["digest"]
    config.put(description="two", digest=digest)
    late = refused(lambda: config.put(description="three", digest=digest))
    assert late[1] == "checksum mismatch (file change by other user?)"
    assert config.get()["description"] == "two"


def test_options_are_taken_away(client: Client) -> None:
    client.vm(101, description="one", ciuser="me")
    config = client.node.qemu(101).config
    config.put(delete="description,scsi0")
    assert "description" not in config.get()
    assert config.get()["unused0"] == "local-lvm:vm-101-disk-0"
    assert refused(lambda: config.put(delete="colour"))[2] == {"delete": "unknown option 'colour'"}
    assert "ciuser" in refused(lambda: config.put(delete="ciuser", ciuser="you"))[2]["delete"]
    assert refused(config.put)[1] == "no options specified"


def test_tags_are_lower_case_and_sorted(client: Client) -> None:
    client.vm(101, tags="Zeta;plex,Alpha;plex")
    assert client.node.qemu(101).config.get()["tags"] == "alpha;plex;zeta"
    assert client.api.cluster.resources.get(type="vm")[0]["tags"] == "alpha;plex;zeta"


def test_cloud_init_fields_are_kept(client: Client) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    keys = quote(
        key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + " a@b\n", safe=""
    )
    fields = {"ciuser": "me", "sshkeys": keys, "ipconfig0": "ip=10.0.0.2/24,gw=10.0.0.1"}
    client.vm(101, cipassword="hidden!", **fields)
    config = client.node.qemu(101).config.get()
    assert {name: config[name] for name in fields} == fields
    assert config["cipassword"] == "**********"
    broken = refused(lambda: client.node.qemu(101).config.put(sshkeys="ssh-ed25519%20AAAA"))
    assert broken[1] == "SSH public key validation error"


def test_start_reports_a_missing_snippet(pve: FakePve, client: Client) -> None:
    client.vm(101, cicustom="user=local:snippets/a.yaml")
    start = client.node.qemu(101).status.start
    assert client.wait(start.post()) == "volume 'local:snippets/a.yaml' does not exist"
    pve.add_volume("local:snippets/a.yaml", b"#cloud-config\n")
    assert client.wait(start.post()) == "OK"


def test_running_vm_takes_some_changes_at_its_next_start(client: Client) -> None:
    client.vm(101, cores=1)
    vm = client.node.qemu(101)
    client.wait(vm.status.start.post())
    vm.config.put(cores=4, description="now")
    assert vm.config.get(current=1)["cores"] == 1
    assert vm.config.get()["cores"] == 4
    client.wait(vm.status.stop.post())
    client.wait(vm.status.start.post())
    assert vm.config.get(current=1)["cores"] == 4


def test_pci_mapping_and_its_machine(pve: FakePve, client: Client) -> None:
    pve.add_mapping("gpu", ["node=pve1,path=0000:01:00.0,id=10de:2204"])
    assert [one["id"] for one in client.api.cluster.mapping.pci.get()] == ["gpu"]
    client.vm(101, hostpci0="mapping=gpu,pcie=1")
    vm = client.node.qemu(101)
    assert client.wait(vm.status.start.post()) == "q35 machine model is not enabled"
    assert client.wait(vm.config.post(machine="q35")) == "OK"
    assert client.wait(vm.status.start.post()) == "OK"
    client.vm(102, hostpci0="mapping=gpu")
    in_use = client.wait(client.node.qemu(102).status.start.post())
    assert in_use == "PCI device for mapping 'gpu' already in use by VMID '101'"


def test_disks_only_grow(client: Client) -> None:
    client.vm(101)
    vm = client.node.qemu(101)
    assert client.wait(vm.resize.put(disk="scsi0", size="+2G")) == "OK"
    assert vm.config.get()["scsi0"] == "local-lvm:vm-101-disk-0,size=10G"
    assert refused(lambda: vm.resize.put(disk="scsi0", size="4G"))[1].startswith("shrinking")


def test_agent_runs_commands_and_takes_files(pve: FakePve, client: Client) -> None:
    pve.on_exec = lambda vm, command, given: (3, f"{vm.vmid} {command} {given}", "")
    client.vm(101)
    vm = client.node.qemu(101)
    client.wait(vm.status.start.post())
    pid = vm.agent.exec.post(command=["cat", "a b"], **{"input-data": "in"})["pid"]
    status = vm.agent("exec-status").get(pid=pid)
    assert (status["exitcode"], status["out-data"]) == (3, "101 ['cat', 'a b'] in")
    vm.agent("file-write").post(file="/etc/a", content="hello")
    assert pve.vms[101].files == {"/etc/a": b"hello"}


def test_hooks_give_a_vm_a_real_address(pve: FakePve, client: Client) -> None:
    started: list[int] = []
    pve.on_start = lambda vm: started.append(vm.vmid)
    pve.agent_addresses = lambda vm: [f"10.1.0.{vm.vmid}/24", "fe80::1/64"]
    client.vm(101)
    client.wait(client.node.qemu(101).status.start.post())
    found = client.node.qemu(101).agent("network-get-interfaces").get()["result"]
    addresses = [one["ip-address"] for card in found for one in card["ip-addresses"]]
    assert started == [101]
    assert addresses == ["127.0.0.1", "::1", "10.1.0.101", "fe80::1"]


def test_failing_hook_fails_the_start(pve: FakePve, client: Client) -> None:
    def broken(vm: Guest) -> None:
        raise RuntimeError("no container")

    pve.on_start = broken
    client.vm(101)
    assert client.wait(client.node.qemu(101).status.start.post()) == "RuntimeError: no container"
    assert not pve.vms[101].running
