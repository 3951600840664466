"""Values of files that become words of a command are never options, paths or templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Plexctl

HOSTS = "clusters/hosts.yaml"
PLEX = "clusters/demo/plex.yaml"
BASES = "types/bases.yaml"
TYPE = "types/own.yaml"

OWN = "role: {role}\nbase: {base}\nlayers: [{{name: {layer}, artifacts: [{artifact}]}}]\n"
GOOD = {"role": "kubenode", "base": "debian12", "layer": "runtime", "artifact": "runc"}


def own_type(**fields: str) -> str:
    return OWN.format(**{**GOOD, **fields})


def base(**fields: str) -> str:
    more = "".join(f", {name}: {value}" for name, value in fields.items())
    return f"own: {{release: bookworm{more}}}\n"


def host(**fields: str) -> str:
    return f"hosts: {{local: {{{', '.join(f'{k}: {v}' for k, v in fields.items())}}}}}\n"


@pytest.mark.parametrize(
    ("file", "text", "field"),
    [
        # debootstrap
        (BASES, "own: {release: --foreign}\n", "own.release"),
        (BASES, "own: {release: ../../../tmp/script}\n", "own.release"),
        (BASES, base(packages="[--help]"), "own.packages"),
        (BASES, base(packages="['x; touch /pwned']"), "own.packages"),
        (BASES, base(packages="[$(touch /pwned)]"), "own.packages"),
        (BASES, base(mirror="--help"), "own.mirror"),
        (BASES, base(mirror="file:///etc"), "own.mirror"),
        (BASES, base(mirror="copy:/etc"), "own.mirror"),
        # the image server
        (BASES, base(source="images", server="--help", image="debian/12"), "own.server"),
        (BASES, base(source="images", image="--help"), "own.image"),
        # a disk image
        (BASES, base(form="vm", source="cloud", url="file:///etc/shadow"), "own.url"),
        (BASES, base(form="vm", source="cloud", checksum="md5:0"), "own.checksum"),
        # folders of roles, and files in them
        (TYPE, own_type(role="../../tmp"), "role"),
        (TYPE, own_type(role="/tmp/role"), "role"),
        (TYPE, own_type(role="\"{{ lookup('pipe', 'id') }}\""), "role"),
        (TYPE, own_type(layer="../../tmp/x"), "layers[0].name"),
        (TYPE, own_type(layer="--x"), "layers[0].name"),
        (TYPE, own_type(artifact="../x"), "layers[0].artifacts"),
        # ssh, and variables of Ansible
        (HOSTS, host(ssh="-oProxyCommand=id"), "hosts.local.ssh"),
        (HOSTS, host(ssh="root@-oProxyCommand=id"), "hosts.local.ssh"),
        (HOSTS, host(ssh="'root@x;id'"), "hosts.local.ssh"),
        (HOSTS, host(pool="\"{{ lookup('pipe', 'id') }}\""), "hosts.local.pool"),
        (HOSTS, host(bridge="-x"), "hosts.local.bridge"),
        (HOSTS, 'hosts: {"{{ x }}": {}}\n', "hosts.{{ x }}"),
        (HOSTS, "hosts: {-x: {}}\n", "hosts.-x"),
        (HOSTS, host(kind="proxmox", proxmox="{token: 'a@b!c', iso: '{{ x }}'}"), "iso"),
        (HOSTS, host(kind="proxmox", proxmox="{token: 'a@b!c', node: '../x'}"), "node"),
        # sources of apps
        (PLEX, "gitops: {source: 'ssh://-oProxyCommand=id/x'}\n", "gitops.source"),
        (PLEX, "gitops: {source: 'ext::sh -c id'}\n", "gitops.source"),
        (PLEX, "gitops: {source: 'https://x/y', branch: --upload-pack=id}\n", "gitops.branch"),
        (PLEX, "gitops: {source: 'https://x/y', path: /etc}\n", "gitops.path"),
        (PLEX, "gitops: {source: 'https://x/y', path: ../../etc}\n", "gitops.path"),
    ],
)
def test_a_value_that_a_program_could_misread_is_refused(
    lab: Path, plexctl: Plexctl, file: str, text: str, field: str
) -> None:
    (lab / file).parent.mkdir(exist_ok=True)
    (lab / file).write_text(text)

    ended = plexctl("list")

    assert ended.code == 2, ended
    assert any(line.startswith(f"{file}:") and field in line for line in ended.err.splitlines()), (
        ended.err
    )


@pytest.mark.parametrize("name", ["-x", "--help", "$(id)", "{{ x }}", "a b", "x;id"])
@pytest.mark.parametrize("file", ["clusters/{}/plex.yaml", "types/{}.yaml"])
def test_a_name_that_a_program_could_misread_is_refused(
    lab: Path, plexctl: Plexctl, file: str, name: str
) -> None:
    path = lab / file.format(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("workers: 1\n" if "plex" in file else own_type())
    ended = plexctl("list")
    assert ended.code == 2, ended
    assert name in ended.err
