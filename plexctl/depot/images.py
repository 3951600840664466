"""Container images of built programs, with the settings of upstream's images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi

from plexctl.depot import debian
from plexctl.depot.archive import Entry, write_image, write_tar
from plexctl.depot.packages import PACKAGES

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSWD = b"""root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
"""
_GROUP = b"root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n"
_BASE = (
    Entry("etc/passwd", _PASSWD, mode=0o644),
    Entry("etc/group", _GROUP, mode=0o644),
    Entry("etc/nsswitch.conf", b"hosts: files dns\n", mode=0o644),
    Entry("tmp", mode=0o1777),
)
_AUTHORITIES = Entry("etc/ssl/certs/ca-certificates.crt", Path(certifi.where()), mode=0o644)
"""Public authorities, for programs that call servers on the internet."""
_BIND_SERVICE = "\x01\0\0\2\0\4" + 14 * "\0"
"""struct vfs_cap_data, revision 2: cap_net_bind_service, effective and permitted."""
_NO_SIGNATURE = b"#!/bin/sh\n# There is no gpg here: no commit counts as signed.\nexit 0\n"


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """The contents of an image and its runtime settings."""

    programs: Mapping[str, str]  # program -> path in the image
    entrypoint: tuple[str, ...]
    command: tuple[str, ...] = ()  # arguments where a pod names none
    user: str = ""
    packages: tuple[str, ...] = ()  # of Debian: the programs themselves, or what they call
    base: tuple[Entry, ...] = _BASE
    xattrs: tuple[tuple[str, str], ...] = ()
    mode: int = 0o755  # of the programs


def _server(name: str, *packages: str) -> ContainerSpec:
    path = f"usr/local/bin/{name}"
    return ContainerSpec({name: path}, (f"/{path}",), packages=packages)


def _controller(name: str) -> ContainerSpec:
    """A controller of Flux."""
    path = f"usr/local/bin/{name}"
    return ContainerSpec(
        {name: path}, (f"/{path}",), user="65534:65534", base=(*_BASE, _AUTHORITIES)
    )


def _argocd() -> ContainerSpec:
    """Argo CD: one program for all roles, which it chooses by its name. It calls git and ssh.

    Upstream's image also has helm, gpg and the pages of the web server.
    """
    folder = "usr/local/bin"
    roles = ("application-controller", "applicationset-controller", "repo-server", "server")
    user = b"argocd:x:999:999:argocd:/home/argocd:/sbin/nologin\n"  # ssh looks up its user
    return ContainerSpec(
        {name: f"{folder}/{name}" for name in ("argocd", "kustomize")},
        ("/usr/bin/tini", "--"),
        user="999",
        packages=PACKAGES["argocd"],
        base=(
            *_BASE,
            Entry("etc/passwd", _PASSWD + user, mode=0o644),
            Entry("etc/group", _GROUP + b"argocd:x:999:\n", mode=0o644),
            Entry("usr/bin/sh", link="dash"),
            Entry("home/argocd"),
            Entry(f"{folder}/git-verify-wrapper.sh", _NO_SIGNATURE),
            *(Entry(f"{folder}/argocd-{role}", link="argocd") for role in roles),
            _AUTHORITIES,
        ),
    )


_etcd = {name: f"usr/local/bin/{name}" for name in ("etcd", "etcdctl")}
RECIPES: Mapping[str, ContainerSpec] = {
    "kube-apiserver": _server("kube-apiserver"),
    "kube-controller-manager": _server("kube-controller-manager"),
    "kube-scheduler": _server("kube-scheduler"),
    "kube-proxy": _server("kube-proxy", *PACKAGES["kube-proxy"]),
    "etcd": ContainerSpec(_etcd, ()),
    "coredns": ContainerSpec(
        {"coredns": "coredns"},
        ("/coredns",),
        user="65532:65532",
        xattrs=(("security.capability", _BIND_SERVICE),),
    ),
    "agnhost": ContainerSpec({"agnhost": "agnhost"}, ("/agnhost",), user="65532:65532"),
    "source-controller": _controller("source-controller"),
    "kustomize-controller": _controller("kustomize-controller"),
    "argocd": _argocd(),
    "redis": ContainerSpec({}, ("/usr/bin/redis-server",), user="999", packages=PACKAGES["redis"]),
    "pause": ContainerSpec({"pause": "pause"}, ("/pause",), user="65535:65535", base=()),
}


def make_image(
    name: str,
    reference: str,
    architecture: str,
    programs: Mapping[str, Path],
    target: Path,
    work: Path,
) -> None:
    """Write the OCI archive `target` of image `name`. `work` is a folder for temporary files."""
    write_container(RECIPES[name], reference, architecture, programs, target, work / name)


def write_container(
    spec: ContainerSpec,
    reference: str,
    architecture: str,
    programs: Mapping[str, Path],
    target: Path,
    work: Path,
) -> None:
    """Write the OCI archive `target`. `work` is the beginning of the names of temporary files."""
    entries = list(spec.base)
    if spec.packages:
        entries += debian.unpack(spec.packages, work.with_name(f"{work.name}.packages"))
    entries += [
        Entry(path, programs[program], mode=spec.mode, xattrs=spec.xattrs)
        for program, path in spec.programs.items()
    ]
    layer = work.with_name(f"{work.name}.layer.tar")
    write_tar(layer, entries)
    settings: dict[str, object] = {"Env": [_PATH], "WorkingDir": "/"}
    if spec.user:
        settings["User"] = spec.user
    if spec.entrypoint:
        settings["Entrypoint"] = list(spec.entrypoint)
    if spec.command:
        settings["Cmd"] = list(spec.command)
    write_image(target, reference, architecture, layer, settings)
    layer.unlink()
