"""Values that a plex could not work with, or that would publish a password, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.config import values
from plexctl.config.faults import Fault, describe
from plexctl.config.shape import Scalar
from plexctl.errors import PlexError
from plexctl.render.errors import error_text

from .labs import faults, lab, plex_faults


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        (values.APP_SOURCE, "oci://user:secret@host/x", "must not contain a user name"),
        (values.APP_SOURCE, "https://u@host/x", "must not contain a user name"),
        (values.APP_SOURCE, "ssh://git:pw@host/x", "must not contain a password"),
        (values.APP_SOURCE, 'ssh://git@host/x"y', "contains a character"),
        (values.UPSTREAM, "https://u:p@h", "must not contain a user name or a password"),
        (values.UPSTREAM, 'https://x"y', "is not a URL"),
        (values.UPSTREAM, "https://x'y", "is not a URL"),
        (values.UPSTREAM, "https://x/\x00", "is not a URL"),
        (values.UPSTREAM, "http://registry.example.org", "is not encrypted"),
        (values.UPSTREAM, "http://8.8.8.8:5000", "is not encrypted"),
        (values.URL, "https://[::1", "is not a URL"),
        (values.URL, "https://h:99999/x", "there is no port 99999"),
        (values.HTTPS, "https://[::1", "is not the URL of a server"),
        (values.HTTPS, "https://10.0.0.7:99999", "there is no port 99999"),
        (values.HTTPS, "https://10.0.0.7:0", "there is no port 0"),
        (values.HTTPS, "https://10.0.0.7?x=y", "is not the URL of a server"),
        (values.HTTPS, "https://10.0.0.7\x00", "is not the URL of a server"),
        (values.HTTPS, "https://a:b:c", "is not the URL of a server"),
        (values.SSH, "root@10.0.0.7:99999", "there is no port 99999"),
        (values.SSH, "root@10.0.0.7:٢٢", "is not an SSH login"),
        (values.SIZE, "٢GiB", "must be a size"),
        (values.VERSION, "1.٣6", "must be a Kubernetes version"),
        (values.DOMAIN, "a" * 70, "is too long for a DNS domain"),
        (values.DOMAIN, ".".join(["a" * 60] * 5), "is too long for a DNS domain"),
        (values.LAB_FILE, "a" * 400, "is too long for the path of a file"),
        (values.LAB_FILE, "a/" * 2000 + "b", "is too long for the path of a file"),
        (values.NUMBERS, [], "must not be empty"),
        (values.ADDRESS, "0.0.0.0", "is an address of no host"),
        (values.ADDRESS, "127.0.0.1", "is a loopback address"),
        (values.ADDRESS, "169.254.1.1", "is a link-local address"),
        (values.ADDRESS, "192.0.2.7", "is an address for documentation"),
        (values.ADDRESS, "224.0.0.1", "is a multicast address"),
        (values.ADDRESS, "255.255.255.255", "is a reserved address"),
    ],
)
def test_a_wrong_value_is_refused_with_a_hint(
    shape: Scalar[object], value: object, message: str
) -> None:
    with pytest.raises(Fault, match=message) as caught:
        shape.parse(value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (values.APP_SOURCE, "ssh://git@host:2222/x.git"),
        (values.APP_SOURCE, "oci://host:5000/x"),
        (values.UPSTREAM, "https://registry-1.docker.io"),
        (values.UPSTREAM, "http://10.0.0.1:5000"),
        (values.URL, "https://[fd00::1]:8443/x?y=z#a"),
        (values.HTTPS, "https://[fd00::1]:8443"),
        (values.HTTPS, "https://pve.example.org/"),
        (values.SSH, "root@10.0.0.7:2222"),
        (values.DOMAIN, f"{'a' * 63}.{'b' * 63}.local"),
        (values.ADDRESS, "10.0.0.7"),
    ],
)
def test_a_right_value_is_taken(shape: Scalar[object], value: str) -> None:
    shape.parse(value)


def test_a_host_listed_twice_is_refused(tmp_path: Path) -> None:
    (fault,) = plex_faults(tmp_path, "hosts: [local, local]\n")
    assert fault == "1 hosts[1]: lists local twice (remove one of them)"


def test_taints_with_one_key_and_effect_are_refused(tmp_path: Path) -> None:
    taints = "['app=a:PreferNoSchedule', 'app=b:PreferNoSchedule', 'app=b:NoExecute']"
    (fault,) = plex_faults(tmp_path, f"groups: [{{nodes: 2, taints: {taints}}}]\n")
    assert fault.startswith("1 groups[0].taints[1]: a second taint has the key app and the effect")


def test_a_group_without_nodes_is_refused(tmp_path: Path) -> None:
    (fault,) = plex_faults(tmp_path, "groups: [{nodes: []}]\n")
    assert fault.startswith("1 groups[0].nodes: must not be empty (name the nodes")


def test_terminal_escapes_of_a_file_are_shown_and_never_sent(tmp_path: Path) -> None:
    text = 'domain: "\\e]0;owned\\a\\e[31m"\n"\\e[2J": 1\nhost: "\\u202e"\n'
    found = faults(lab(tmp_path, clusters__demo__plex=text))
    assert len(found) >= 2
    shown = error_text(
        PlexError("there is no \x1b[31mx\x9b", details=["a\x07\tb"], hint="use \u202e\udcff\r")
    )
    assert shown == ("error: there is no \\x1b[31mx\\x9b\n  a\\x07\tb\nhint: use \\u202e\\udcff\\r")
    assert describe("\x1b[31m") == "'\\x1b[31m'"
