"""What verbs answer: values that one renderer turns into text or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plexctl.model.apps import Apps, Sync
from plexctl.provision.engine import Action

UNKNOWN = "unknown"
"""What an instance is whose host does not answer."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One object that a run would change, or has changed."""

    action: Action
    kind: str
    name: str
    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class TofuPlan:
    """The same plan as OpenTofu has it."""

    changes: tuple[str, ...]  # "create module.incus.incus_instance.master[\"demo1\"]"
    text: str  # as it shows it


@dataclass(frozen=True, slots=True)
class EngineResult:
    """A plex that another engine makes from now on."""

    plex: str
    engine: str
    changed: bool
    changes: tuple[Changed, ...]  # of its objects; moving alone makes none


@dataclass(frozen=True, slots=True)
class PlanResult:
    plex: str
    bake: tuple[str, ...]  # types whose image would be baked first
    changes: tuple[Changed, ...]
    tofu: TofuPlan | None = None  # of a plex that OpenTofu makes
    silent: tuple[str, ...] = ()  # of each host that does not answer, why: nothing is said of it

    @property
    def nothing(self) -> bool:
        """Whether `up` would change nothing."""
        return not (self.changes or self.bake or (self.tofu and self.tofu.changes))


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as its plex file, its host and its cluster know it."""

    name: str
    role: str
    type: str
    host: str
    address: str
    instance: str  # "Running", "Stopped", "missing", "unknown" where its host does not answer
    ready: bool | None  # None: the cluster does not say
    version: str
    note: str


@dataclass(frozen=True, slots=True)
class AppRow:
    """A source, a Kustomization, or something that runs because of one."""

    kind: str
    name: str
    state: str  # "ready", "progressing", "waiting", "failed", "suspended"
    revision: str
    message: str


@dataclass(frozen=True, slots=True)
class AppsResult:
    plex: str
    well: bool
    rows: tuple[AppRow, ...]
    failures: tuple[str, ...]


def apps_result(plex: str, apps: Apps) -> AppsResult:
    named = (*((apps.source,) if apps.source else ()), *apps.apps)
    rows = [AppRow(one.kind, one.name, one.sync, one.revision, one.message) for one in named]
    for one in apps.workloads:
        state = Sync.READY if one.ready else Sync.FAILED if one.failed else Sync.PROGRESSING
        rows.append(AppRow(one.kind, f"{one.namespace}/{one.name}", state, "", one.message))
    return AppsResult(plex, apps.synced, tuple(rows), apps.failures)


@dataclass(frozen=True, slots=True)
class PushResult:
    plex: str
    digest: str  # of the artifact
    changed: bool
    seconds: float  # until all was applied, or until it was sent where nobody waited
    apps: AppsResult


@dataclass(frozen=True, slots=True)
class ObjectDiff:
    """An object that a push would change."""

    app: str
    object: str  # "Deployment hello-world/hello-world"
    action: str  # "+", "~" or "-"
    text: str  # a unified diff, without the value of any secret


@dataclass(frozen=True, slots=True)
class DiffResult:
    plex: str
    changes: tuple[ObjectDiff, ...]
    failures: tuple[str, ...]  # what cannot be built, or would be refused


@dataclass(frozen=True, slots=True)
class FluxKeyResult:
    plex: str
    public: str  # "ssh-ed25519 AAAA… comment"


@dataclass(frozen=True, slots=True)
class TokenResult:
    plex: str
    file: Path
    changed: bool


@dataclass(frozen=True, slots=True)
class UpResult:
    plex: str
    changes: tuple[Changed, ...]
    nodes: tuple[NodeRow, ...]
    seconds: Mapping[str, float]  # "api", "nodes", "dns", "all": since the command began
    run: str
    kubeconfig: Path
    apps: AppsResult | None = None  # None: nothing brings up any


@dataclass(frozen=True, slots=True)
class StatusResult:
    plex: str
    well: bool
    api: str
    dns: str
    nodes: tuple[NodeRow, ...]
    silent: tuple[str, ...] = ()  # of each host that does not answer, why


@dataclass(frozen=True, slots=True)
class DestroyResult:
    plex: str
    removed: tuple[Changed, ...]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListRow:
    plex: str
    current: bool
    kubernetes: str
    nodes: int
    running: int  # as far as hosts answer
    network: str


@dataclass(frozen=True, slots=True)
class ListResult:
    plexes: tuple[ListRow, ...]
    silent: tuple[str, ...] = ()  # of each host that does not answer, why


@dataclass(frozen=True, slots=True)
class ImageRow:
    type: str
    host: str
    kubernetes: str
    name: str
    changed: bool


@dataclass(frozen=True, slots=True)
class BakeResult:
    images: tuple[ImageRow, ...]
    pruned: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DepotRow:
    """A component of the depot."""

    component: str
    version: str
    source: str  # "release", "gobuild" or "dir"
    artifacts: int
    size: int  # bytes
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DepotResult:
    folder: Path
    components: tuple[DepotRow, ...]


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A file of the depot whose bytes have changed, or that is gone."""

    component: str
    version: str
    name: str
    expected: str  # SHA-256 in hex
    found: str  # the same, or "nothing"


@dataclass(frozen=True, slots=True)
class VerifyResult:
    components: int  # how many were whole before
    damaged: tuple[DamagedRow, ...]


@dataclass(frozen=True, slots=True)
class PruneResult:
    components: tuple[str, ...]  # "kubernetes 1.35.4"
    freed: int  # bytes


@dataclass(frozen=True, slots=True)
class InitResult:
    root: Path
    plex: str
    written: tuple[Path, ...]
    key: Path | None  # what opens the lab's seed; None: a passphrase


@dataclass(frozen=True, slots=True)
class UseResult:
    plex: str


@dataclass(frozen=True, slots=True)
class KubeconfigResult:
    plex: str
    file: Path
    context: str
    changed: bool


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A file of secrets: whether the verb has changed it."""

    file: Path
    changed: bool


@dataclass(frozen=True, slots=True)
class SecretsResult:
    done: str  # what has been done with those that changed: "encrypted"
    files: tuple[SecretRow, ...]
    recipient: str  # the public age key that they are encrypted for


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """The lab's registry on one host."""

    host: str
    instance: str  # "Running", "Stopped", "missing"
    used: int | None  # bytes; None: it does not run


@dataclass(frozen=True, slots=True)
class RegistryResult:
    registry: str
    endpoint: str  # address:port
    well: bool
    api: str  # "answers", or why not
    upstreams: Mapping[str, str]  # name in image references -> URL
    hosts: tuple[RegistryRow, ...]
    repositories: tuple[str, ...]  # what was pushed


@dataclass(frozen=True, slots=True)
class RegistryUpResult:
    registry: str
    endpoint: str
    changes: tuple[Changed, ...]
    run: str


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host of the lab, and whether it answers."""

    name: str
    kind: str
    where: str  # URL or socket
    answer: str  # "answers", or why it does not
    instances: int | None  # of this lab; None: it does not say
    cpus: int
    memory: int  # bytes


@dataclass(frozen=True, slots=True)
class HostsResult:
    hosts: tuple[HostRow, ...]

    @property
    def well(self) -> bool:
        return all(row.answer == "answers" for row in self.hosts)


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """One thing that was looked after on a machine: "packages"."""

    name: str
    changed: bool
    tasks: tuple[str, ...]  # those that changed it


@dataclass(frozen=True, slots=True)
class HostPreparedResult:
    """A machine that was made a host. The token that it gave out is not told."""

    name: str
    changed: bool  # the machine or the lab
    items: tuple[PreparedRow, ...]
    notes: tuple[str, ...]
    url: str | None  # where its API answers
    text: str  # what it is to the lab now


@dataclass(frozen=True, slots=True)
class HostResult:
    """A host that was added, changed or removed."""

    name: str
    changed: bool
    text: str
