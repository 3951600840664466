from __future__ import annotations

import gzip
import json
import socket
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from plexctl.clients import web
from plexctl.clients.registry.oci import OciRegistry, Reference
from plexctl.clients.web import Web
from plexctl.depot.components import KubernetesRelease, SourceName
from plexctl.depot.pins import load_pins
from plexctl.depot.sources import Sources
from plexctl.depot.store import Depot
from plexctl.errors import PlexError
from tests.unit.depot.support import (
    CONTAINERD,
    CTR,
    KUBEADM,
    KUBELET,
    Recorder,
    Server,
    archive_of,
    files_in,
    sha,
)

KUBEADM_PATH = "/dl.k8s.io/v1.36.3/amd64/kubeadm"
KUBELET_PATH = "/dl.k8s.io/v1.36.3/amd64/kubelet"
KUBELET_URL = "https://dl.k8s.io/v1.36.3/amd64/kubelet"
CONTAINERD_PATH = "/github.com/containerd-2.3.4-amd64.tar.gz"
ETCD = "registry.k8s.io/etcd:3.6.8-0"
REPOSITORY = "/registry.k8s.io/v2/etcd"


@pytest.fixture
def site(server: Server) -> Server:
    """The server with all that the pins name."""
    server.pages = {
        KUBEADM_PATH: KUBEADM,
        KUBELET_PATH: KUBELET,
        CONTAINERD_PATH: CONTAINERD,
        **image_pages(),
    }
    return server


def image_pages(layer: bytes = b"a layer") -> dict[str, bytes | tuple[int, dict[str, str], bytes]]:
    """A registry that wants a token, with an index of two architectures."""
    config, packed = b'{"architecture":"amd64"}', gzip.compress(layer, mtime=0)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "config", "digest": f"sha256:{sha(config)}", "size": 24},
            "layers": [
                {"mediaType": "layer", "digest": f"sha256:{sha(packed)}", "size": len(packed)}
            ],
        }
    ).encode()
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    platforms = {"arm64": sha(b"not asked for"), "amd64": sha(manifest)}
    index = json.dumps(
        {
            "manifests": [
                {"digest": f"sha256:{digest}", "platform": {"os": "linux", "architecture": arch}}
                for arch, digest in platforms.items()
            ]
        }
    ).encode()
    needs = {"X-Needs-Token": "opaque"}
    return {
        "/auth.k8s.io/token?service=k&scope=pull": b'{"token": "opaque"}',
        f"{REPOSITORY}/manifests/3.6.8-0": (200, needs | {"Content-Type": kind}, index),
        f"{REPOSITORY}/manifests/sha256:{sha(manifest)}": (200, needs, manifest),
        f"{REPOSITORY}/blobs/sha256:{sha(config)}": (200, needs, config),
        f"{REPOSITORY}/blobs/sha256:{sha(packed)}": (200, needs, packed),
    }


def test_programs_are_downloaded_and_unpacked(
    site: Server, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    depot = Depot(tmp_path / "depot", site.sources())
    kubernetes, containerd = depot.fill(release, ["kubernetes", "containerd"], reporter)
    assert {one.name: one.path.read_bytes() for one in kubernetes.artifacts} == {
        "kubeadm": KUBEADM,
        "kubelet": KUBELET,
    }
    assert containerd.artifact("ctr").path.read_bytes() == CTR
    assert (containerd.version, containerd.source) == ("2.3.4", SourceName.RELEASE)


@pytest.mark.parametrize(
    ("path", "content", "component", "name"),
    [
        (KUBEADM_PATH, KUBEADM, "kubernetes", "kubeadm"),
        (CONTAINERD_PATH, CONTAINERD, "containerd", "containerd-2.3.4-amd64.tar.gz"),
    ],
)
def test_a_flipped_byte_fails_closed(
    site: Server,
    tmp_path: Path,
    release: KubernetesRelease,
    reporter: Recorder,
    path: str,
    content: bytes,
    component: str,
    name: str,
) -> None:
    damaged = content[:-1] + bytes([content[-1] ^ 1])
    site.pages[path] = damaged
    # gobuild could serve too, but is not asked: wrong bytes are no reason to look elsewhere.
    sources = Sources(rewrites=site.sources().rewrites, ca=site.ca)
    depot = Depot(tmp_path / "depot", sources)
    with pytest.raises(PlexError, match=name) as caught:
        depot.fill(release, [component], reporter)
    shown = "\n".join(caught.value.details)
    assert sha(content) in shown
    assert sha(damaged) in shown
    assert path.rpartition("/")[2] in shown
    assert files_in(depot.root) == {"lock"}


def test_a_digest_that_no_pin_has_is_locked_and_must_not_change(
    site: Server, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    lock = tmp_path / "depot.lock"
    first = Depot(tmp_path / "first", site.sources(lock))
    first.fill(release, ["kubernetes", "images"], reporter)
    _, _, index = site.pages[f"{REPOSITORY}/manifests/3.6.8-0"]
    assert isinstance(index, bytes)
    manifest = next(
        page
        for path, page in site.pages.items()
        if f"{REPOSITORY}/manifests/sha256:" in path and isinstance(page, tuple)
    )[2]
    assert json.loads(lock.read_text()) == {
        KUBELET_URL: sha(KUBELET),
        ETCD: sha(index),
        f"{ETCD} linux/amd64": sha(manifest),
    }
    assert lock.read_text() == json.dumps(json.loads(lock.read_text()), indent=2) + "\n"

    # The same depot serves another lab: its lock says the same without a download.
    other = tmp_path / "other.lock"
    Depot(first.root, site.sources(other)).fill(release, ["kubernetes", "images"], reporter)
    assert other.read_text() == lock.read_text()

    before = lock.read_text()
    site.pages[KUBELET_PATH] = b"changed upstream"
    second = Depot(tmp_path / "second", site.sources(lock))
    with pytest.raises(PlexError, match="kubelet") as caught:
        second.fill(release, ["kubernetes"], reporter)
    assert "depot.lock" in caught.value.details[0]
    site.pages |= image_pages(b"another layer")
    with pytest.raises(PlexError, match="etcd"):
        second.fill(release, ["images"], reporter)
    assert second.list() == ()
    assert lock.read_text() == before


def test_an_image_is_pulled_unchanged_for_this_architecture(
    site: Server, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    (images,) = Depot(tmp_path / "depot", site.sources()).fill(release, ["images"], reporter)
    with tarfile.open(images.artifact("etcd.tar").path) as archive:
        content = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
    (entry,) = json.loads(content["index.json"])["manifests"]
    assert entry["annotations"] == {
        "io.containerd.image.name": ETCD,
        "org.opencontainers.image.ref.name": "3.6.8-0",
    }
    assert entry["platform"] == {"os": "linux", "architecture": "amd64"}
    manifest = content[f"blobs/sha256/{entry['digest'].removeprefix('sha256:')}"]
    assert (f"{REPOSITORY}/manifests/{entry['digest']}") in site.pages
    (layer,) = json.loads(manifest)["layers"]
    packed = content[f"blobs/sha256/{layer['digest'].removeprefix('sha256:')}"]
    assert gzip.decompress(packed) == b"a layer"


def test_a_changed_blob_of_an_image_fails_closed(
    site: Server, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    path = next(
        path for path, page in site.pages.items() if page[2:] == (b'{"architecture":"amd64"}',)
    )
    site.pages[path] = (200, {}, b'{"architecture":"amd65"}')
    lock = tmp_path / "depot.lock"
    depot = Depot(tmp_path / "depot", site.sources(lock))
    with pytest.raises(PlexError, match="a blob of registry"):
        depot.fill(release, ["images"], reporter)
    assert files_in(depot.root) == {"lock"}
    assert not lock.exists()


def test_the_next_source_is_tried_for_a_missing_page(
    site: Server, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    del site.pages[KUBELET_PATH]
    with pytest.raises(PlexError, match="no source can serve kubernetes") as caught:
        Depot(tmp_path / "depot", site.sources()).fill(release, ["kubernetes"], reporter)
    assert caught.value.details == (f"kubernetes: release: {KUBELET_URL}: HTTP 404 Not Found",)


def test_a_server_with_another_certificate_is_not_trusted(
    site: Server, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    sources = Sources(rewrites=site.sources().rewrites, allowed=(SourceName.RELEASE,))
    with pytest.raises(PlexError, match="no source can serve") as caught:
        Depot(tmp_path / "depot", sources).fill(release, ["kubernetes"], reporter)
    assert caught.value.details == ("kubernetes: release: dl.k8s.io cannot be trusted",)
    assert site.asked == []


def test_an_unreachable_server_is_detected_once_and_quickly(
    tmp_path: Path, release: KubernetesRelease, reporter: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert web.CONNECT_SECONDS <= 3
    monkeypatch.setattr(web, "CONNECT_SECONDS", 0.3)
    with socket.socket() as unreachable:  # takes connections and never says a word
        unreachable.bind(("127.0.0.1", 0))
        unreachable.listen()
        unreachable.setblocking(False)
        mirror = f"https://127.0.0.1:{unreachable.getsockname()[1]}/"
        rewrites = tuple((f"https://{host}/", mirror) for host in ("dl.k8s.io", "github.com"))
        sources = Sources(rewrites=rewrites, allowed=(SourceName.RELEASE,))
        with pytest.raises(PlexError) as caught:
            Depot(tmp_path / "depot", sources).fill(release, ["kubernetes", "containerd"], reporter)
        connections = 0
        with suppress(BlockingIOError):
            while True:
                unreachable.accept()[0].close()
                connections += 1
        assert connections == 2  # one for each name
    assert caught.value.details == (
        "kubernetes: release: dl.k8s.io does not answer",
        "containerd: release: github.com does not answer",
    )


def test_a_download_reports_its_progress(site: Server, tmp_path: Path) -> None:
    site.pages["/big"] = bytes(3 << 20)
    shares: list[float] = []
    target = tmp_path / "big"
    assert Web(ca=site.ca).download(f"{site.address}/big", target, shares.append) == sha(
        bytes(3 << 20)
    )
    assert shares == sorted(shares)
    assert len(shares) == 3
    assert shares[-1] == 1


def test_a_member_may_be_in_a_folder_of_the_architecture(
    pins_folder: Path, site: Server, tmp_path: Path, reporter: Recorder
) -> None:
    pins = pins_folder / "pins.yaml"
    packed = archive_of(**{"amd64-ctr": CTR})
    text = pins.read_text().replace("{ctr: bin/ctr}", '{ctr: "bin/{arch}-ctr"}')
    pins.write_text(text.replace(sha(CONTAINERD), sha(packed)))
    site.pages[CONTAINERD_PATH] = packed
    release = load_pins(pins_folder, "amd64").release("1.36.3")

    (stored,) = Depot(tmp_path / "depot", site.sources()).fill(release, ["containerd"], reporter)
    assert stored.artifact("ctr").path.read_bytes() == CTR


def test_no_redirect_leads_to_plain_http(
    site: Server, tmp_path: Path, release: KubernetesRelease, reporter: Recorder
) -> None:
    """A file without a pinned checksum could be replaced by anyone on the network."""
    site.pages[KUBELET_PATH] = (302, {"Location": "http://127.0.0.1:9/kubelet"}, b"")
    depot = Depot(tmp_path / "depot", site.sources())
    with pytest.raises(PlexError, match="no source can serve") as caught:
        depot.fill(release, ["kubernetes"], reporter)
    assert "redirects to plain HTTP" in caught.value.details[0]


def test_a_token_is_for_one_registry(site: Server, tmp_path: Path) -> None:
    """Another registry with the same path got it too."""
    other = {
        path.replace("registry.k8s.io", "other.example"): (
            (page[0], {"Content-Type": page[1].get("Content-Type", "")}, page[2])
            if isinstance(page, tuple)
            else page
        )
        for path, page in image_pages().items()
        if path.startswith("/registry.k8s.io")
    }
    site.pages |= other
    sources = site.sources()
    registry = OciRegistry(Web(sources.rewrites, sources.ca))
    for name in ("registry.k8s.io", "other.example"):
        folder = tmp_path / name
        folder.mkdir()
        reference = Reference(name, "etcd", "3.6.8-0")
        registry.pull(reference, "amd64", folder, lambda _: None, lambda _: None)
    sent = {
        path.split("/")[1]
        for _, path, headers in site.asked
        if headers.get("Authorization") == "Bearer opaque"
    }
    assert sent == {"registry.k8s.io"}


def test_a_program_that_nobody_releases_is_refused_without_a_request(
    site: Server, tmp_path: Path
) -> None:
    with pytest.raises(PlexError, match="no source can serve flux-build") as caught:
        Depot(tmp_path, site.sources()).fill(load_pins().releases[0], ["flux-build"], Recorder())
    assert caught.value.details == (
        "flux-build: release: its pin has no release: it can only be built",
    )
    assert site.asked == []
