"""Container images made of built programs, set up as the upstream ones are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi

from plexctl.depot import debian
from plexctl.depot.archive import Entry, write_image, write_tar

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
_BIND_SERVICE = "\x01\0\0\2\0\4" + 14 * "\0"
"""struct vfs_cap_data, revision 2: cap_net_bind_service, effective and permitted."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is in an image and how it is run."""

    programs: Mapping[str, str]  # program -> path in the image
    entrypoint: str | None
    user: str = ""
    package: str | None = None  # a Debian package that the programs call
    base: tuple[Entry, ...] = _BASE
    xattrs: tuple[tuple[str, str], ...] = ()


def _server(name: str, package: str | None = None) -> Recipe:
    path = f"usr/local/bin/{name}"
    return Recipe({name: path}, f"/{path}", package=package)


def _controller(name: str) -> Recipe:
    """Of Flux: it calls servers of the world, so it needs to know whom to trust."""
    path = f"usr/local/bin/{name}"
    authorities = Entry("etc/ssl/certs/ca-certificates.crt", Path(certifi.where()), mode=0o644)
    return Recipe({name: path}, f"/{path}", user="65534:65534", base=(*_BASE, authorities))


_etcd = {name: f"usr/local/bin/{name}" for name in ("etcd", "etcdctl")}
RECIPES: Mapping[str, Recipe] = {
    "kube-apiserver": _server("kube-apiserver"),
    "kube-controller-manager": _server("kube-controller-manager"),
    "kube-scheduler": _server("kube-scheduler"),
    # In nftables mode it calls nft; connections are read over netlink, without conntrack.
    "kube-proxy": _server("kube-proxy", package="nftables"),
    "etcd": Recipe(_etcd, None),
    "coredns": Recipe(
        {"coredns": "coredns"},
        "/coredns",
        user="65532:65532",
        xattrs=(("security.capability", _BIND_SERVICE),),
    ),
    "agnhost": Recipe({"agnhost": "agnhost"}, "/agnhost", user="65532:65532"),
    "source-controller": _controller("source-controller"),
    "kustomize-controller": _controller("kustomize-controller"),
    "pause": Recipe({"pause": "pause"}, "/pause", user="65535:65535", base=()),
}


def make_image(
    name: str,
    reference: str,
    architecture: str,
    programs: Mapping[str, Path],
    target: Path,
    work: Path,
) -> None:
    """Write the OCI archive `target` of image `name`. `work` is a folder for what comes between."""
    recipe = RECIPES[name]
    entries = list(recipe.base)
    if recipe.package:
        entries += debian.unpack(recipe.package, work / f"{name}.packages")
    entries += [
        Entry(path, programs[program], xattrs=recipe.xattrs)
        for program, path in recipe.programs.items()
    ]
    layer = work / f"{name}.layer.tar"
    write_tar(layer, entries)
    settings: dict[str, object] = {"Env": [_PATH], "WorkingDir": "/"}
    if recipe.user:
        settings["User"] = recipe.user
    if recipe.entrypoint:
        settings["Entrypoint"] = [recipe.entrypoint]
    write_image(target, reference, architecture, layer, settings)
    layer.unlink()
