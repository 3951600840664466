"""The client of Proxmox VE, over HTTPS to a stateful fake that checks the API's schema."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from plexctl.clients.proxmox.host import ProxmoxHost
from plexctl.clients.proxmox.observed import WHOLE, notes, tags
from plexctl.errors import PlexError, UsageError
from plexctl.model.condition import Condition, Observation, wait
from plexctl.model.resources import Kind
from plexctl.model.secret import Secret
from plexctl.model.streams import Streams, Terminal
from tests.fake_pve import FakePve
from tests.proxmox import SECRETS, TEMPLATE, client_of, with_template

OURS = {"lab": "lab1", "plex": "demo", "image": TEMPLATE}


@pytest.fixture
def pve() -> Iterator[FakePve]:
    with FakePve(task_seconds=0.02, clone_seconds=0.1) as fake:
        yield fake


@pytest.fixture
def server(pve: FakePve) -> ProxmoxHost:
    return client_of(pve)


def made(server: ProxmoxHost, template: str, name: str) -> int:
    """A whole VM, which is stopped."""
    vmid = server.vms.clone(template, name, OURS, linked=True)
    seed = server.storage.upload_iso(f"plex-seed-lab1-{name}.iso", b"keys")
    server.guests.configure(vmid, {**OURS, WHOLE: "yes"}, {"ide2": f"{seed},media=cdrom"})
    return vmid


def another(server: ProxmoxHost) -> ProxmoxHost:
    """Of another process, as it were: it shares no lock with `server`."""
    secret = SECRETS[int(str(server.spec.url).rpartition(":")[2])]
    return ProxmoxHost(server.spec, Secret(secret.encode()), patience=30)


def test_tags_of_a_guest_are_read_beside_other_notes() -> None:
    text = notes({"lab": "x", "plex": "demo"})

    assert tags(text) == {"lab": "x", "plex": "demo"}
    assert tags(f"My notes\n\n{text}\nmore") == {"lab": "x", "plex": "demo"}
    assert tags("plexctl: not json") == {}
    assert tags("") == {}


def test_templates_are_images_and_only_guests_of_plexctl_have_tags(
    pve: FakePve, server: ProxmoxHost
) -> None:
    template = with_template(server)
    made(server, template, "demo1")
    server.vms.create("theirs", {}, {"memory": 512})
    pve.vms[max(pve.vms)].config.pop("description")
    state = server.read()

    assert [image.names for image in state.images] == [(TEMPLATE,)]
    assert set(state.instances) == {"demo1", "theirs"}
    assert state.instances["demo1"].tags["plex"] == "demo"
    assert state.instances["demo1"].image == state.images[0].fingerprint
    assert state.instances["demo1"].started
    assert state.instances["theirs"].tags == {}


def test_a_clone_without_configuration_is_incomplete(server: ProxmoxHost) -> None:
    server.vms.clone(with_template(server), "demo1", OURS, linked=True)

    assert not server.read().instances["demo1"].started


def test_of_two_guests_with_one_name_the_foreign_one_counts_and_is_never_deleted(
    pve: FakePve, server: ProxmoxHost
) -> None:
    made(server, with_template(server), "demo1")
    foreign = server.vms.create("demo1", {}, {"memory": 512})
    pve.vms[foreign].config.pop("description")

    assert server.read().instances["demo1"].tags == {}
    server.delete_instance("demo1")
    assert [vm.vmid for vm in pve.vms.values() if vm.name == "demo1"] == [foreign]


def test_tags_are_only_written_on_guests_of_the_same_lab_and_plex(server: ProxmoxHost) -> None:
    for lab in ("1a2b3c4d", "1a2b3c4d" + "f" * 24):
        server.vms.create("demo1", {"lab": lab, "plex": "demo"}, {"memory": 512})
    server.set_tags(Kind.INSTANCE, "demo1", {"lab": "1a2b3c4d" + "0" * 24, "plex": "demo"})
    found = {guest.tags["lab"] for guest in server.guests.list("demo1")}
    assert found == {"1a2b3c4d" + "0" * 24, "1a2b3c4d" + "f" * 24}


def test_a_search_for_one_guest_reads_no_other(pve: FakePve, server: ProxmoxHost) -> None:
    template = with_template(server)
    vmids = {name: made(server, template, name) for name in ("demo1", "demo2")}
    before = len(pve.requests)

    assert server.guests.find("demo2").vmid == vmids["demo2"]
    read = [one.path for one in pve.requests[before:] if one.path.endswith("/config")]
    assert read == [f"/nodes/pve1/qemu/{vmids['demo2']}/config"]


def test_clones_of_one_template_wait_for_one_another(pve: FakePve, server: ProxmoxHost) -> None:
    template = with_template(server)
    with ThreadPoolExecutor(4) as pool:
        names = [f"demo{n}" for n in range(1, 5)]
        vmids = list(pool.map(lambda n: server.vms.clone(template, n, OURS, linked=True), names))

    assert len(set(vmids)) == 4
    assert {pve.vms[vmid].name for vmid in vmids} == set(names)
    assert min(vmids) >= 9000


@pytest.mark.parametrize("busy", ["locked", "lockfile"])
def test_a_call_waits_for_the_lock_of_somebody_else(
    pve: FakePve, server: ProxmoxHost, busy: str
) -> None:
    pve.busy_source = busy
    other = another(server)
    template = with_template(server)
    pve.clone_seconds = 0.6
    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(server.vms.clone, template, "demo1", OURS, linked=True)
        theirs = pool.submit(other.vms.clone, template, "side1", OURS, linked=True)
        assert {pve.vms[n.result()].name for n in (ours, theirs)} == {"demo1", "side1"}


def test_a_lock_that_stays_is_an_error_that_names_it(pve: FakePve) -> None:
    server = client_of(pve, patience=1)
    vmid = made(server, with_template(server), "demo1")
    pve.vms[vmid].config["lock"] = "backup"

    with pytest.raises(PlexError) as error:
        server.start("demo1")

    assert error.value.summary == "timed out after 1 s waiting until host pve1 can start demo1"
    assert error.value.details == ("last observed: VM is locked (backup)",)


def test_an_identifier_that_is_taken_is_skipped(pve: FakePve, server: ProxmoxHost) -> None:
    template = with_template(server)
    pve.fail_next("POST", r"/clone$", 500, "unable to create VM 9001: config file already exists")

    assert server.vms.clone(template, "demo1", OURS, linked=True) == 9002


def test_full_clones_go_to_the_pool_of_the_host(pve: FakePve) -> None:
    server = client_of(pve, linked=False)
    vmid = server.vms.clone(with_template(server), "demo1", OURS, linked=False)
    sent = next(one for one in pve.requests if one.path.endswith("/clone")).params

    assert (sent["full"], sent["storage"]) == ("1", "local-lvm")
    assert all(
        v.parent is None for v in pve.storages["local-lvm"].volumes.values() if v.vmid == vmid
    )


def test_a_disk_grows_and_never_shrinks(pve: FakePve, server: ProxmoxHost) -> None:
    vmid = server.vms.clone(with_template(server), "demo1", OURS, linked=True)
    server.vms.grow_disk(vmid, 5 << 30)
    server.vms.grow_disk(vmid, 1 << 30)

    assert "size=5G" in pve.vms[vmid].config["scsi0"]


def test_a_clone_of_a_killed_run_is_replaced_and_not_doubled(
    pve: FakePve, server: ProxmoxHost
) -> None:
    """The server goes on when its client is gone, and the next run begins at once."""
    template = with_template(server)
    pve.clone_seconds = 0.7
    killed = another(server)
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(killed.vms.clone, template, "demo1", OURS, linked=True)
        wait(Condition("a clone is under way", lambda: Observation(locked(pve)), 30, every=0.01))
        server.vms.clone(template, "demo1", OURS, linked=True)
        begun.result()

    assert sum(vm.name == "demo1" for vm in pve.vms.values()) == 1


def test_settle_waits_for_clones_of_an_interrupted_run(pve: FakePve, server: ProxmoxHost) -> None:
    template = with_template(server)
    assert not server.settle("demo")
    pve.clone_seconds = 3
    killed = another(server)
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(killed.vms.clone, template, "demo1", OURS, linked=True)
        wait(Condition("a clone is under way", lambda: Observation(locked(pve)), 30, every=0.01))
        assert server.settle("demo")
        assert not locked(pve)
        begun.result()


def locked(pve: FakePve) -> bool:
    return any(vm.lock == "clone" for vm in list(pve.vms.values()))


def test_deleting_leaves_neither_disks_nor_the_seed(pve: FakePve, server: ProxmoxHost) -> None:
    template = with_template(server)
    made(server, template, "demo1")
    server.start("demo1")
    server.delete_instance("demo1")
    server.delete_instance("demo1")
    server.delete_image(template)

    assert pve.vms == {}
    assert not any(storage.volumes for storage in pve.storages.values())


def test_an_interrupted_deletion_leaves_an_incomplete_guest(
    pve: FakePve, server: ProxmoxHost
) -> None:
    made(server, with_template(server), "demo1")
    pve.fail_next("DELETE", r"/qemu/", 500, "interrupted")
    with pytest.raises(PlexError, match="interrupted"):
        server.delete_instance("demo1")

    assert not server.read().instances["demo1"].started
    server.delete_instance("demo1")
    assert "demo1" not in server.read().instances


def test_the_agent_answers_after_the_start_and_runs_programs(
    pve: FakePve, server: ProxmoxHost
) -> None:
    made(server, with_template(server), "demo1")
    pve.agent_seconds = 0.6
    pve.on_exec = lambda guest, argv, given: (3, f"{guest.name} {argv}", "words")
    server.start("demo1")
    wait(server.vms.agent_answers("demo1"))
    done = server.execute("demo1", ("cat", "/etc/my file"))

    assert (done.code, done.stdout, done.stderr) == (3, "demo1 ['cat', '/etc/my file']", "words")


def test_a_program_has_no_terminal_and_no_input(pve: FakePve, server: ProxmoxHost) -> None:
    made(server, with_template(server), "demo1")
    pve.on_exec = lambda guest, argv, given: (3, "out", "words")
    server.start("demo1")
    wait(server.vms.agent_answers("demo1"))
    stdout, stderr = io.BytesIO(), io.BytesIO()
    reader, writer = os.pipe()

    assert server.run("demo1", ("cat",), Streams(reader, stdout, stderr)) == 3
    assert (stdout.getvalue(), stderr.getvalue()) == (b"out", b"words")
    os.write(writer, b"input")
    with pytest.raises(UsageError, match="has no standard input"):
        server.run("demo1", ("cat",), Streams(reader, stdout, stderr))
    assert os.read(reader, 5) == b"input"
    terminal = Terminal("xterm", lambda: (80, 24), threading.Event())
    with pytest.raises(UsageError, match="has no terminal"):
        server.run("demo1", ("cat",), Streams(None, stdout, stderr, terminal))
    os.close(reader)
    os.close(writer)


def test_an_agent_that_does_not_answer_is_an_error_with_a_hint(
    pve: FakePve, server: ProxmoxHost
) -> None:
    made(server, with_template(server), "demo1")
    pve.agent_seconds = 60
    server.start("demo1")
    with pytest.raises(PlexError) as error:
        wait(server.vms.agent_answers("demo1", deadline=0.6))

    assert error.value.details == ("last observed: QEMU guest agent is not running",)
    assert "qemu-guest-agent" in str(error.value.hint)


def test_a_task_that_fails_says_why(pve: FakePve, server: ProxmoxHost) -> None:
    made(server, with_template(server), "demo1")
    pve.fail_task("qmstart", "start failed: QEMU exited with code 1")
    with pytest.raises(PlexError) as error:
        server.start("demo1")

    assert error.value.summary == (
        "host pve1 cannot start demo1: start failed: QEMU exited with code 1"
    )
