"""Helpers of the tests of the depot: small pins, bytes, reporters and servers."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from plexctl.depot.components import SourceName
from plexctl.depot.sources import Sources
from plexctl.model.events import Outcome

KUBEADM, CTR, KUBELET = b"kubeadm's bytes", b"ctr's bytes", b"kubelet's bytes"

PINS = """
components:
  containerd:
    release:
      version: 2.3.4
      downloads:
        - url: https://github.com/containerd-{version}-{arch}.tar.gz
          sha256: {amd64: %(containerd)s}
          members: {ctr: bin/ctr}
    gobuild: {version: 2.3.7, module: containerd, programs: [ctr]}
kubernetes:
  1.36.3:
    release:
      version: 1.36.3
      downloads:
        - url: https://dl.k8s.io/v{version}/{arch}/kubeadm
          sha256: {amd64: %(kubeadm)s}
          artifact: kubeadm
        - url: https://dl.k8s.io/v{version}/{arch}/kubelet
          artifact: kubelet
    gobuild: {version: 1.36.3, module: kubernetes, programs: [kubeadm, kubelet]}
    images:
      etcd: {reference: "registry.k8s.io/etcd:3.6.8-0", module: kubernetes}
modules:
  kubernetes:
    version: 1.36.3
    core_seconds: 1000
    programs: {kubeadm: k/kubeadm, kubelet: k/kubelet, etcd: etcd/server/v3, etcdctl: e/etcdctl/v3}
  containerd:
    version: 2.3.7
    core_seconds: 100
    programs: {ctr: c/ctr}
    variables: {c.Version: v2.3.7}
"""


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive_of(**members: bytes) -> bytes:
    """A .tar.gz as a project releases it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"./bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


CONTAINERD = archive_of(ctr=CTR)


@dataclass
class Recorder:
    """A reporter that records its calls."""

    ends: list[tuple[str, Outcome, str]] = field(default_factory=list)
    expected: dict[str, str] = field(default_factory=dict)
    shares: list[float] = field(default_factory=list)

    @contextmanager
    def step(self, title: str, *, expect: str = "") -> Iterator[_RecordedStep]:
        self.expected[title] = expect
        yield _RecordedStep(self, title)

    def mark(self, node: str, what: str) -> None:
        raise AssertionError((node, what))

    def end_of(self, title: str) -> tuple[Outcome, str]:
        return next((outcome, text) for name, outcome, text in self.ends if name == title)


@dataclass
class _RecordedStep:
    recorder: Recorder
    title: str

    def progress(self, text: str, done: float | None = None) -> None:
        if done is not None:
            self.recorder.shares.append(done)

    def part(self, name: str, doing: str, outcome: Outcome | None = None) -> None:
        raise AssertionError((name, doing, outcome))

    def end(self, outcome: Outcome, text: str = "") -> None:
        self.recorder.ends.append((self.title, outcome, text))


def files_in(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@dataclass
class Server:
    """Answers by path: `pages` are bytes, or (status, headers, bytes). `asked` are the requests."""

    address: str
    ca: Path
    pages: dict[str, bytes | tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def sources(self, lock: Path | None = None) -> Sources:
        hosts = ("dl.k8s.io", "github.com", "registry.k8s.io", "auth.k8s.io", "other.example")
        rewrites = tuple((f"https://{host}/", f"{self.address}/{host}/") for host in hosts)
        return Sources(lock=lock, rewrites=rewrites, ca=self.ca, allowed=(SourceName.RELEASE,))
