"""Readers of files that others may have written, with an example of each file.

The mutated files of tests/unit/config and the harnesses of tests/fuzz use them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pyrage

from plexctl.clients.incus import disk_tar
from plexctl.clients.incus.trust import read_token
from plexctl.clients.sops import other_kinds, recipients
from plexctl.config import plexhocs
from plexctl.config.bounded import MOST_BYTES, read_given
from plexctl.config.builtin import builtin
from plexctl.config.edit import add_field, set_field
from plexctl.config.load import load_lab
from plexctl.depot.archive import image_digest
from plexctl.depot.components import Download
from plexctl.depot.folder import sums
from plexctl.depot.lock import Lock
from plexctl.depot.pins import load_pins
from plexctl.depot.release import unpacked
from plexctl.errors import ConfigError, ExitCode, PlexError
from plexctl.keys import backups, seed
from plexctl.model.folder import Folder
from plexctl.model.secret import Secret
from plexctl.observe.timeline import timeline
from plexctl.render.errors import error_text
from plexctl.render.timeline_html import html_text
from plexctl.render.timeline_text import timeline_text
from plexctl.scripts import changes, dependencies, genders_file, mkgenders, tofu
from plexctl.workflow.backups.archive import read
from plexctl.workflow.core.run import last_unfinished
from plexctl.workflow.gitops import manifests
from plexctl.workflow.gitops.charts import release_in
from plexctl.workflow.gitops.plain_secrets import plain_secrets
from plexctl.workflow.gitops.sops_rules import sops_rules
from plexctl.workflow.gitops.tree_files import tree_files
from plexctl.workflow.plex.kubeconfig import kubeconfig_text, merged
from plexctl.workflow.snapshots import archive as snapshot_files
from plexctl.workflow.snapshots.manifest import Manifest, SavedNode

VERSIONS = ("1.36.3", "1.35.4")
RUN = "20261121T082340.506123-up-demo"

FILES = {
    "clusters/hosts.yaml": "hosts:\n  local: {}\n  far: {url: 'https://10.0.0.7:8443', "
    "address: 10.0.0.7, ssh: 'root@10.0.0.7:22', parallel: 2,\n    certificate: "
    + "ab"
    * 32
    + ",\n"
    "    facts: {cgroup: 2, cpus: 8, memory: 64GiB}}\n"
    "registry: {upstreams: {docker.io: 'https://registry-1.docker.io'}}\nsecrets: {epoch: 2}\n",
    "clusters/demo/plex.yaml": "kubernetes: 1.36\nworkers: 3\nhost: local\ndomain: cluster.local\n"
    "networks: {nodes: 10.1.0.0/24}\ngroups: &g\n- nodes: 2-3\n  labels: {disk: fast}\n"
    "  taints: ['a=b:NoSchedule']\n  size: {cpu: 1, memory: 1.5GiB}\n  kubelet: {maxPods: 50}\n"
    "kubeadm: {cluster: {apiServer: {extraArgs: [{name: v, value: '4'}]}}}\n",
    "types/mine.yaml": "role: kubenode\nbase: debian12\nkubernetes: true\nprivileged: true\n"
    "layers:\n- {name: kube, artifacts: [containerd]}\n",
    "types/bases.yaml": "mine: {release: trixie, mirror: 'https://deb.debian.org/debian'}\n",
    "pins.yaml": "modules: {}\ncomponents: {}\nkubernetes: {}\n",
    "depot.lock": '{"a": "b", "c": "d"}',
    "genders": "demo[1-3],gate kube,rack=a1\n# a comment\nx y=%n%%\n",
    "inventory.json": '{"kube": {"hosts": ["a1"], "children": ["all"]}, "all": ["b"], "_meta": '
    '{"hostvars": {"a1": {"kube": 1}}}}',
    "terraform.tfstate": '{"version": 4, "resources": [{"mode": "managed", "type": "a", "name": '
    '"b", "instances": [{"index_key": 0, "dependencies": ["c.d"]}]}]}',
    "map.tfvars.json": '{"plexhocs": {"local": {"debian12": {"kube": "1-3, 5"}}}}',
    "config": "apiVersion: v1\nclusters: [{name: a, cluster: {}}]\nusers: []\ncontexts: null\n"
    "current-context: a\n",
    "apps/x/release.yaml": "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\n"
    "metadata: {name: r, namespace: x}\nspec: {url: 'https://h/charts'}\n---\n"
    "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n"
    "metadata: {name: x, namespace: x}\n"
    "spec: {chart: {spec: {chart: c, version: 1.2.3, sourceRef: {kind: HelmRepository, name: r}}},"
    " values: {a: [1]}}\n",
}
"""Files with an error that has the name of the file, and the exit code for wrong usage."""

MORE_FILES = {
    "edited.yaml": "# workers: 2\nhost: local\nworkers: 1  # one\ngroups:\n- {nodes: 1}\n",
    "clusters/seed.age": "age-encryption.org/v1\n-> X25519 "
    "x8sMn5VJL8T5DmvVMtQkQwxrh1m3fqhKhNlTQgYPgTE\n"
    "Xk2xCgUTX3ZUzM3lM1Z5k4nE5qjTCYq1m3n2M5u9V1U\n"
    "--- 5B5yQz4eWcYyqJx5iQx5pGq0qk0nXw5wXo0z8c7kE1M\n",
    "age.key": "# public key: age1x\nAGE-SECRET-KEY-1X\n",
    "map.tfvars": 'plexhocs = {\n  local = { debian12 = { "kube" = "1-3, 5", gate = 7 } }\n}\n',
    "apps/x/kustomization.yaml": "kind: Kustomization\nresources: [a.yaml, ../y]\n"
    "secretGenerator:\n- {name: s, literals: [a=b], envs: [.env]}\n"
    "patches:\n- target: {kind: Secret}\n  patch: |\n    - {op: add, path: /data/a, value: eA==}\n"
    "replacements:\n- source: {kind: ConfigMap}\n  targets:\n  - select: {kind: Secret}\n"
    "    fieldPaths: [data.a]\n",
    "apps/x/secret.yaml": "kind: List\nitems:\n- kind: Secret\n  metadata: {name: s}\n"
    "  data: &d {a: eA==}\n- kind: Secret\n  stringData: {<<: *d}\n---\n"
    "kind: Secret\ndata: {a: 'ENC[AES256_GCM,data:x]'}\n"
    "sops: {age: [{recipient: age1x, enc: y}], mac: 'ENC[x]'}\n",
    ".sops.yaml": "creation_rules:\n- path_regex: .*/secret\\.yaml$\n  age: age1x,age1y\n",
    "run.jsonl": '{"event": "Began", "at": 0.1, "time": "2026-11-21T08:23:40+00:00", '
    '"lived": 0.4}\n'
    '{"event": "StepBegan", "at": 0.2, "title": "create nodes"}\n'
    '{"event": "Intended", "at": 0.2, "changes": {"local instance demo1": "create: new"}}\n'
    '{"event": "Marked", "at": 1, "node": "demo1", "what": "created"}\n'
    '{"event": "StepEnded", "at": 2, "title": "create nodes", "outcome": "changed", "text": ""}\n',
    "messages.jsonl": '{"type": "planned_change", "change": {"action": "create", "resource": '
    '{"addr": "a.b"}}}\n{"type": "outputs", "outputs": {"a": {"action": "create"}}}\n'
    '{"type": "apply_start", "hook": {"action": "create", "resource": {"addr": "a.b"}}}\n'
    '{"type": "change_summary", "changes": {"add": 1, "operation": "plan"}}\n'
    '{"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "s", "detail": "d", '
    '"range": {"filename": "f", "start": {"line": 1, "column": 2}}}}\n',
    "token": "eyJmaW5nZXJwcmludCI6ICJhYiJ9",
    "SHA256SUMS": "ab  *./kubernetes/kubeadm\ncd  images/etcd.tar\n",
}
"""Files whose errors may have another exit code, or a part of the name. Only fuzzing reads them."""


MANIFEST = (
    '{"version": 1, "plex": "demo", "lab": "0", "created": "2026-11-30T09:00:00+00:00", '
    '"kubernetes": "1.36.3", "masters": ["demo1"], "epoch": 1, "services": "10.96.0.0/20", '
    '"domain": "cluster.local"}'
)
"""In a backup."""


def _tar(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()[: archive.offset]  # without most of the zeros at its end


def examples() -> dict[str, bytes]:
    """An example of each file, by name."""
    config = hashlib.sha256(b"{}").hexdigest()
    manifest = f'{{"config": {{"digest": "sha256:{config}"}}, "layers": []}}'.encode()
    digest = hashlib.sha256(manifest).hexdigest()
    image = {
        "index.json": f'{{"manifests": [{{"digest": "sha256:{digest}"}}]}}'.encode(),
        f"blobs/sha256/{digest}": manifest,
        f"blobs/sha256/{config}": b"{}",
    }
    saved = bytes(512) + hashlib.sha256(bytes(512)).digest()
    archives = {
        "release.tar.gz": gzip.compress(_tar({"./bin/a": b"x" * 999}), mtime=0),
        "image.tar": _tar(image),
        "backup.tar": _tar({"manifest.json": MANIFEST.encode(), "etcd.snapshot": saved}),
        "disk.tar": _tar({"metadata.yaml": b"{}", "rootfs/etc/hosts": b"::1 demo1\n"}),
        "snapshot.tar": _snapshot(),
    }
    return {name: text.encode() for name, text in (FILES | MORE_FILES).items()} | archives


def write_lab(root: Path) -> None:
    """Write the files of FILES, which are a whole lab."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@cache
def _components() -> frozenset[str]:
    return load_pins().components()


def _lab(root: Path) -> object:
    return load_lab(root, VERSIONS, _components())


def _edited(root: Path) -> object:
    """A file is changed as `scale` and `init --gitops` do."""
    file = root / "edited.yaml"
    set_field(root, file, "workers", "4")
    return add_field(root, file, "gitops", "{}")


def _sealed(root: Path) -> object:
    """The seed is opened with a key for which it is not sealed."""
    key = root / "age.key"
    if not key.exists():
        key.touch(0o600)
        key.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    return seed.load(root, root, lambda: Secret(b"passphrase"))


def _own_key(root: Path) -> object:
    (root / "age.key").chmod(0o600)
    (root / "clusters/seed.age").write_bytes(MORE_FILES["clusters/seed.age"].encode())
    return seed.load(root, root)


def _tree(root: Path) -> object:
    return plain_secrets(tree_files(root))


def _secret(root: Path) -> object:
    content = (root / "apps/x/secret.yaml").read_bytes()
    manifests.faults(content)
    manifests.is_encrypted(content)
    return _tree(root), recipients(content), other_kinds(content)


def _journal(root: Path) -> object:
    runs = Folder(root, ("runs",))
    content = (root / "run.jsonl").read_bytes()
    runs.write(f"{RUN}.jsonl", content)
    last_unfinished(runs, "demo")
    found = timeline(RUN, content.decode(errors="replace").split("\n"))
    return timeline_text(found), html_text(found)


def _messages(root: Path) -> object:
    """What OpenTofu prints with `-json`, as `tfapply` shows it."""
    shown: list[str | None] = []
    for line in (root / "messages.jsonl").read_bytes().decode(errors="replace").split("\n"):
        message = tofu.message(line)
        shown += changes.planned(message), changes.applied(message)
        shown += tofu.diagnosis(tofu.problem(message) or {})
    return shown


SEED = seed.RootSeed(Secret(b"a seed for tests, of 32 bytes..."))


def _snapshot() -> bytes:
    """An exported snapshot of one node."""
    disk = _tar({"rootfs/a": b""})[:512]
    digest = hashlib.sha256(disk).hexdigest()
    nodes = (SavedNode("demo1", "plex-kube-0123456789ab", "ab" * 32, len(disk), digest),)
    time = "2026-11-30T09:00:00+00:00"
    manifest = Manifest("demo", "before", time, SEED.lab_id, "1.36.3", "x86_64", nodes)
    packed = _tar({"nodes/demo1.tar": disk, "manifest.json": manifest.signed(SEED)})
    return packed[:-1024]  # without its end


def _disk(root: Path) -> None:
    with (root / "disk.tar").open("rb") as file, snapshot_files.refusing(root / "disk.tar"):
        disk_tar.check(file)


def _exported(root: Path) -> None:
    with snapshot_files.opened(root / "snapshot.tar", SEED) as found:
        found.verify(disk_tar.check)


def _release(root: Path) -> object:
    work = root / "work"
    work.mkdir(exist_ok=True)
    copy = work / "download"
    copy.write_bytes((root / "release.tar.gz").read_bytes())
    url = "https://h/release.tar.gz"
    return unpacked(Download(url, members={"a": "bin/a"}), copy, work, "amd64")


def _backup(root: Path) -> object:
    """What somebody has put into a backup who has the keys of a master."""
    own = seed.RootSeed(Secret(bytes(seed.SEED_LENGTH)))
    body = gzip.compress((root / "backup.tar").read_bytes(), 1, mtime=0)
    signed = backups.signature(backups.signing_key(own, "demo"), body) + body
    (root / "backup").write_bytes(backups.seal(own, signed))
    return read(own, root / "backup")


READERS: Mapping[str, Callable[[Path], object]] = {
    "clusters/hosts.yaml": _lab,
    "clusters/demo/plex.yaml": _lab,
    "types/mine.yaml": _lab,
    "types/bases.yaml": _lab,
    "pins.yaml": lambda root: load_pins(root, "amd64", whole=True),
    "depot.lock": lambda root: Lock(root / "depot.lock").read(),
    "genders": lambda root: genders_file.parse(read_given(root / "genders"), "genders"),
    "inventory.json": lambda root: mkgenders.converted(
        mkgenders.parsed(read_given(root / "inventory.json"), "inventory.json"), "inventory.json"
    ),
    "terraform.tfstate": lambda root: dependencies.read(
        read_given(root / "terraform.tfstate"), "terraform.tfstate"
    ),
    "map.tfvars.json": lambda root: plexhocs.parse(
        read_given(root / "map.tfvars.json", MOST_BYTES), "map.tfvars.json"
    ),
    "config": lambda root: merged(
        kubeconfig_text(root / "config") or "", FILES["config"], root / "config"
    ),
    "apps/x/release.yaml": lambda root: release_in(root / "apps/x/release.yaml"),
    "edited.yaml": _edited,
    "clusters/seed.age": _sealed,
    "age.key": _own_key,
    "map.tfvars": lambda root: plexhocs.parse(
        read_given(root / "map.tfvars", MOST_BYTES), "map.tfvars"
    ),
    "apps/x/kustomization.yaml": _tree,
    "apps/x/secret.yaml": _secret,
    ".sops.yaml": lambda root: sops_rules(root, root / "apps/x/secret.yaml"),
    "run.jsonl": _journal,
    "messages.jsonl": _messages,
    "token": lambda root: read_token(Secret((root / "token").read_bytes())),
    "SHA256SUMS": lambda root: sums(root / "SHA256SUMS"),
    "release.tar.gz": _release,
    "backup.tar": _backup,
    "disk.tar": _disk,
    "snapshot.tar": _exported,
    "image.tar": lambda root: image_digest(root / "image.tar", "image.tar"),
}
"""What reads each file, in the folder of a lab."""


def read_or_refused(root: Path, name: str) -> float:
    """The seconds of the processor that it takes to read a file, or to refuse it well.

    AssertionError for a refusal that is not good enough. Any other error but PlexError is a bug.
    """
    started = time.process_time()
    try:
        READERS[name](root)
    except PlexError as error:
        shown = error_text(error)
        assert "\x1b" not in shown
        if name in FILES:
            assert error.exit_code is ExitCode.USAGE, shown
            assert name.rpartition("/")[2] in shown or "plex.yaml" in shown, shown
        if isinstance(error, ConfigError):
            assert all(problem.line >= 1 for problem in error.problems)
            places = (root, builtin("types"))  # a base of the lab may not fit a built-in type
            for problem in error.problems:
                assert any(map(problem.file.is_relative_to, places)), problem
    return time.process_time() - started
