"""The images that conformance specs start, under the references that upstream's suite expects.

Programs come from Go modules and packages of Debian: no registry is needed. An image has what specs
use of upstream's: its entry point, its files, and the programs that they call in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from plexctl.depot import debian
from plexctl.depot.archive import Entry
from plexctl.depot.images import ContainerSpec, write_container
from plexctl.depot.pins import machine_architecture

E2E = "registry.k8s.io/e2e-test-images"

_TOOLS = (
    *("bash", "bind9-dnsutils", "bind9-host", "busybox-static", "curl", "hostname", "iproute2"),
    *("netcat-openbsd", "util-linux"),
)
"""Packages of the programs that specs call in agnhost."""

_USERS = (
    Entry(
        "etc/passwd",
        b"root:x:0:0:root:/root:/bin/sh\n"
        b"nobody:x:65534:65534:nobody:/:/bin/false\n"
        b"user-defined-in-image:x:1000:1000::/:/bin/sh\n",
        mode=0o644,
    ),
    Entry(
        "etc/group",
        b"root:x:0:\nnogroup:x:65534:\nuser-defined-in-image:x:1000:\n"
        b"group-defined-in-image:x:50000:user-defined-in-image\n",
        mode=0o644,
    ),
    Entry("etc/nsswitch.conf", b"hosts: files dns\n", mode=0o644),
    Entry("root"),
    Entry("tmp", mode=0o1777),
    Entry("var/tmp", mode=0o1777),
    Entry("uploads"),
    # Bash keeps variables of the environment whose names have dashes or dots; specs print those.
    Entry("usr/bin/sh", link="bash"),
)

_APPLETS = (
    *("cat", "chmod", "cp", "cut", "date", "dd", "echo", "env", "expr", "false", "find", "grep"),
    *(
        "head",
        "hexdump",
        "id",
        "ls",
        "md5sum",
        "mkdir",
        "mkfifo",
        "mount",
        "mv",
        "nslookup",
        "ping",
        "printf",
    ),
    *("ps", "pwd", "rm", "sed", "seq", "sleep", "sort", "stat", "sync", "tail", "tar", "tee"),
    *("test", "top", "touch", "tr", "traceroute", "true", "umount", "uname", "vi", "wc", "wget"),
    *("whoami", "xargs", "yes"),
)
"""What specs call of BusyBox."""


@dataclass(frozen=True, slots=True)
class Image:
    """A container image of the suite."""

    reference: str
    spec: ContainerSpec


def _busybox() -> tuple[Entry, ...]:
    return tuple(Entry(f"usr/local/bin/{name}", link="/usr/bin/busybox") for name in _APPLETS)


def images(agnhost_files: Mapping[str, Path]) -> tuple[Image, ...]:
    """All images. `agnhost_files` are files of the sources of agnhost, by their path in it."""
    agnhost = ContainerSpec(
        {"agnhost": "agnhost"},
        ("/agnhost",),
        command=("pause",),
        packages=_TOOLS,
        base=(
            *_USERS,
            *_busybox(),
            Entry("agnhost-2", link="agnhost"),
            Entry("data.json", b'{"image": "nautilus.jpg"}\n', mode=0o644),  # of nautilus
            *(Entry(path, file, mode=0o644) for path, file in agnhost_files.items()),
        ),
    )
    busybox = ContainerSpec(
        {},
        (),
        command=("sh",),
        packages=("bash", "busybox-static"),
        base=(*_USERS, *_busybox()),
    )
    nginx = ContainerSpec(
        {},
        (),
        command=("/usr/sbin/nginx", "-g", "daemon off; error_log stderr;"),
        packages=("bash", "busybox-static", "nginx-light"),
        base=(
            *_USERS,
            *_busybox(),
            Entry("etc/nginx/nginx.conf", _NGINX, mode=0o644),
            Entry("usr/share/nginx/html/index.html", b"<h1>Welcome to nginx!</h1>\n", mode=0o644),
            Entry("var/lib/nginx"),
            Entry("var/log/nginx"),
        ),
    )
    resolver = ContainerSpec(
        {}, (), command=("bash",), packages=(*_TOOLS, "libc-bin"), base=(*_USERS,)
    )
    nonewprivs = ContainerSpec(
        {"nonewprivs": "usr/local/bin/nnp"}, (), command=("/usr/local/bin/nnp",), mode=0o4755
    )
    sample = ContainerSpec({"sample-apiserver": "sample-apiserver"}, ("/sample-apiserver",))
    return (
        Image(f"{E2E}/agnhost:2.63.0", agnhost),
        Image(f"{E2E}/agnhost:2.55", agnhost),
        Image(f"{E2E}/busybox:1.37.0-1", busybox),
        Image(f"{E2E}/glibc-dns-testing:2.0.0", resolver),
        Image(f"{E2E}/nautilus:1.8", replace(agnhost, command=("test-webserver",))),
        Image(f"{E2E}/nginx:1.15-4", nginx),
        Image(f"{E2E}/nginx:1.27-0", nginx),
        Image(f"{E2E}/nonewprivs:1.4", nonewprivs),
        Image(f"{E2E}/nonroot:1.5", replace(agnhost, user="1234")),
        Image(f"{E2E}/sample-apiserver:1.29.2", sample),
    )


_NGINX = b"""user root;
pid /tmp/nginx.pid;
events {}
http {
  access_log /dev/stdout;
  server {
    listen 80;
    root /usr/share/nginx/html;
  }
}
"""


def file_name(reference: str) -> str:
    """The name of an image's archive."""
    return reference.rpartition("/")[2].replace(":", "-") + ".tar"


def write(all_images: tuple[Image, ...], programs: Mapping[str, Path], folder: Path) -> None:
    """Write the archives of `all_images` into `folder`."""
    unpacked: dict[tuple[str, ...], tuple[Entry, ...]] = {(): ()}
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        for image in all_images:
            packages, work = image.spec.packages, Path(name, str(len(unpacked)))
            if packages not in unpacked:
                unpacked[packages] = debian.unpack(packages, work)
            spec = replace(image.spec, base=(*image.spec.base, *unpacked[packages]), packages=())
            target = folder / file_name(image.reference)
            write_container(spec, image.reference, machine_architecture(), programs, target, work)
