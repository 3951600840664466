"""Limits of a host's kernel, and the needs of a number of nodes."""

from __future__ import annotations

import re
from pathlib import Path

from plexctl.model.limits import SYSCTLS, shortages

MACHINE = Path(__file__).parents[3] / "bin" / "lib" / "machine.sh"


def test_sufficient_limits_are_not_reported() -> None:
    assert shortages(SYSCTLS, {}, 129, 0) == ()


def test_a_small_plex_has_no_notes_on_an_unprepared_machine() -> None:
    """The limits of a fresh Debian on a machine with 4 GiB."""
    stock = {
        "fs.inotify.max_user_instances": 128,
        "fs.inotify.max_user_watches": 29000,
        "kernel.keys.root_maxkeys": 1000000,
        "kernel.keys.root_maxbytes": 25000000,
        "kernel.pid_max": 4194304,
        "kernel.threads-max": 31000,
        "net.ipv4.neigh.default.gc_thresh3": 1024,
        "net.netfilter.nf_conntrack_max": 65536,
    }
    used = {"kernel.threads-max": 600, "kernel.pid_max": 600, "kernel.keys.root_maxkeys": 60}

    assert shortages(stock, used, 6, 0) == ()
    assert [one.name for one in shortages(stock, used, 8, 0)] == ["fs.inotify.max_user_instances"]
    assert len(shortages(stock, used, 65, 0)) == 2


def test_each_shortage_names_the_need_and_the_command_that_raises_the_limit() -> None:
    values = {
        "fs.inotify.max_user_instances": 128,
        "kernel.keys.maxkeys": 200,
        "net.ipv4.neigh.default.gc_thresh3": 1024,
        "kernel.pid_max": 4096,
    }
    found = shortages(values, {"kernel.keys.maxkeys": 100, "kernel.pid_max": 1000}, 62, 3)

    assert [str(one) for one in found] == [
        "fs.inotify.max_user_instances is 128, and 65 nodes need about 950:"
        " sysctl -w fs.inotify.max_user_instances=8192",
        "kernel.keys.maxkeys is 200, and 65 nodes need about 906:"
        " sysctl -w kernel.keys.maxkeys=20000",
        "kernel.pid_max is 4096, and 65 nodes need about 7200: sysctl -w kernel.pid_max=8192",
        "net.ipv4.neigh.default.gc_thresh3 is 1024, and 65 nodes may need up to 4225: sysctl -w"
        " net.ipv4.neigh.default.gc_thresh1=8192 net.ipv4.neigh.default.gc_thresh2=16384"
        " net.ipv4.neigh.default.gc_thresh3=32768",
    ]


def test_the_command_always_raises_a_limit_enough() -> None:
    values = dict.fromkeys(("kernel.threads-max", "net.ipv4.neigh.default.gc_thresh3"), 1)
    for nodes in (11, 129, 400):
        for one in shortages(values, {"kernel.threads-max": 500}, nodes, 0):
            assert one.settings[one.name] >= one.needed


def test_quickstart_sets_no_other_values() -> None:
    block = MACHINE.read_text().partition("LEAST=(\n")[2].partition("\n)")[0]
    least = dict(re.findall(r"^  ([\w.-]+)=(\d+)", block, re.MULTILINE))

    assert least
    assert {name: int(value) for name, value in least.items()}.items() <= SYSCTLS.items()
