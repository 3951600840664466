"""Limits of a host's kernel are compared with the number of nodes before they are created."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plexctl.model.host_spec import HostSpec
from plexctl.model.kinds import HostKind
from plexctl.model.observed import HostState, ObservedInstance
from plexctl.model.types import Form
from plexctl.plan.resources.specs import IncusSpec
from plexctl.plan.resources.types import Instance, Owner
from plexctl.provision.change import Action, Change
from plexctl.workflow.plex.limits import limit_notes, read_limits

HOST = HostSpec("local", HostKind.INCUS, "/run/incus", "default", 4)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    files = {
        "sys/fs/inotify/max_user_instances": "128",
        "sys/fs/inotify/max_user_watches": "524288",
        "sys/fs/file-max": "9223372036854775807",
        "sys/fs/file-nr": "3217\t0\t9223372036854775807",
        "sys/kernel/pid_max": "32768",
        "sys/kernel/keys/root_maxkeys": "1000000",
        "loadavg": "1.85 4.72 4.34 1/605 28436",
        "key-users": "    0:    46 45/45 40/1000000 1526/25000000\n 1000: 1 1/1 1/200 9/20000",
    }
    for name, content in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")
    return tmp_path


def creations(number: int, form: Form = Form.CONTAINER) -> list[Change]:
    return [
        Change(Action.CREATE, instance(f"a{n}", form).key, "missing", instance(f"a{n}", form))
        for n in range(number)
    ]


def instance(name: str, form: Form) -> Instance:
    return Instance(
        host="local",
        name=name,
        owner=Owner("lab", "a"),
        image="plex-kube-1",
        spec=IncusSpec("plex-a", (), ()),
        boot=b"",
        form=form,
    )


def state(*running: str) -> dict[str, HostState]:
    seen = {name: ObservedInstance(name, "Running", {}, True, "", "") for name in running}
    return {"local": HostState("local", seen, {}, {}, ())}


def test_limits_and_their_use_are_read_from_the_kernel(proc: Path) -> None:
    values, used = read_limits(proc)

    assert values["fs.inotify.max_user_instances"] == 128
    assert values["kernel.keys.root_maxkeys"] == 1000000
    assert "kernel.keys.maxkeys" not in values
    assert "net.netfilter.nf_conntrack_max" not in values  # its module is not loaded
    assert used == {
        "fs.file-max": 3217,
        "kernel.pid_max": 605,
        "kernel.threads-max": 605,
        "kernel.keys.root_maxkeys": 40,
        "kernel.keys.root_maxbytes": 1526,
    }


def test_root_of_an_unprivileged_container_has_the_quota_of_a_user(proc: Path) -> None:
    (proc / "key-users").write_text("0: 46 45/45 40/200 1526/20000\n")
    notes = list(limit_notes({"local": HOST}, creations(20), state(), proc))

    assert any("kernel.keys.maxkeys is 200, and 20 nodes need about 300" in n for n in notes)


def test_few_nodes_vms_and_other_machines_have_no_notes(proc: Path) -> None:
    there = {"local": HOST}

    assert list(limit_notes(there, creations(6), state(), proc)) == []
    assert list(limit_notes(there, [], state(*(f"a{n}" for n in range(60))), proc)) == []
    assert list(limit_notes(there, creations(20, Form.VM), state(), proc)) == []
    away = replace(HOST, url="https://10.0.0.7:8443")
    assert list(limit_notes({"local": away}, creations(20), state(), proc)) == []
    assert list(limit_notes(there, creations(20), state(), proc / "nothing")) == []


def test_running_nodes_count_and_replaced_nodes_count_once(proc: Path) -> None:
    there = state("a1", "a2", "b1", "b2", "b3")
    (note,) = limit_notes({"local": HOST}, creations(20), there, proc)

    assert note == (
        "host local: fs.inotify.max_user_instances is 128, and 23 nodes need about 362:"
        " sysctl -w fs.inotify.max_user_instances=8192"
    )
