"""Results as text, for people: tables and short sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from plexctl.provision.engine import Action
from plexctl.render.apps_text import apps_text, diff_text, push_text
from plexctl.render.errors import shown_path
from plexctl.render.host_text import hosts_text, prepared_text
from plexctl.render.registry_text import registry_text
from plexctl.render.tables import count, size, table
from plexctl.workflow.results import (
    UNKNOWN,
    AppsResult,
    BakeResult,
    Changed,
    DepotResult,
    DestroyResult,
    DiffResult,
    EngineResult,
    FluxKeyResult,
    HostPreparedResult,
    HostResult,
    HostsResult,
    InitResult,
    KubeconfigResult,
    ListResult,
    NodeRow,
    PlanResult,
    PruneResult,
    PushResult,
    RegistryResult,
    RegistryUpResult,
    SecretsResult,
    StatusResult,
    TokenResult,
    UpResult,
    UseResult,
    VerifyResult,
)

SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "-/+",
    Action.START: ">",
    Action.DELETE: "-",
}
DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.START: "started",
    Action.DELETE: "deleted",
}

ENGINES = {"direct": "plexctl itself", "tofu": "OpenTofu"}

Result = (
    AppsResult
    | BakeResult
    | DepotResult
    | DestroyResult
    | DiffResult
    | EngineResult
    | FluxKeyResult
    | HostPreparedResult
    | HostResult
    | HostsResult
    | InitResult
    | KubeconfigResult
    | ListResult
    | PlanResult
    | PruneResult
    | PushResult
    | RegistryResult
    | RegistryUpResult
    | SecretsResult
    | StatusResult
    | TokenResult
    | UpResult
    | UseResult
    | VerifyResult
)


def text(result: Result) -> str:
    """What a verb answers, without a newline at its end."""
    match result:
        case PlanResult():
            return _plan(result)
        case UpResult():
            return _up(result)
        case StatusResult():
            return _status(result)
        case DestroyResult():
            return _destroy(result)
        case ListResult():
            return _list(result)
        case BakeResult():
            return _bake(result)
        case DepotResult():
            return _depot(result)
        case VerifyResult():
            return _verify(result)
        case PruneResult():
            gone = ", ".join(result.components) or "nothing"
            return f"removed {gone}; {size(result.freed)} freed"
        case InitResult():
            return _init(result)
        case RegistryResult():
            return registry_text(result)
        case RegistryUpResult():
            done = _done(result.changes)
            return f"{result.registry}: {done}; it is at https://{result.endpoint}"
        case HostsResult():
            return hosts_text(result)
        case HostPreparedResult():
            return prepared_text(result)
        case HostResult():
            return result.text if result.changed else f"{result.text}: unchanged"
        case EngineResult():
            was = "" if result.changed else " already"
            return f"{result.plex} is made by {ENGINES[result.engine]}{was}; no node was made anew"
        case UseResult():
            return f"{result.plex} is the plex that is meant where none is named"
        case AppsResult():
            return apps_text(result)
        case PushResult():
            return push_text(result)
        case DiffResult():
            return diff_text(result)
        case FluxKeyResult():
            return result.public
        case TokenResult():
            did = "wrote" if result.changed else "unchanged:"
            return f"{did} {shown_path(result.file)}; `plexctl up {result.plex}` hands it to Flux"
        case SecretsResult():
            return _secrets(result)
        case KubeconfigResult():
            did = "wrote" if result.changed else "unchanged:"
            return f"{did} {shown_path(result.file)} (context {result.context})"


def _plan(result: PlanResult) -> str:
    silent = [f"{why}; nothing is said of it" for why in result.silent]
    if result.nothing:
        also = "; OpenTofu has no changes" if result.tofu else ""
        return "\n".join([f"{result.plex}: nothing to do{also}", *silent])
    lines = [f"bake: {', '.join(result.bake)} first"] if result.bake else []
    width = max((len(SIGNS[change.action]) for change in result.changes), default=0)
    lines += [_change(change, width, _hosts(result.changes)) for change in result.changes]
    sums = Counter(change.action for change in result.changes)
    to_do = (f"{number} to {action}" for action, number in sums.items())
    lines.append(f"{result.plex}: {', '.join(to_do) or 'nothing else to do'}")
    if result.tofu:
        lines += ["", "as OpenTofu has it:", *(f"  {one}" for one in result.tofu.changes)]
    return "\n".join([*lines, *silent])


def _change(change: Changed, width: int, hosts: int) -> str:
    line = f"{SIGNS[change.action]:{width}} {change.action} {change.kind} {change.name}"
    if hosts > 1:
        line += f" on {change.host}"
    # That something is missing is why anything is created.
    return line if change.action is Action.CREATE else f"{line}: {change.reason}"


def _up(result: UpResult) -> str:
    did = _done(result.changes)
    if not result.nodes:
        return f"{result.plex}: {did}; `plexctl status {result.plex}` shows how far it is"
    members = [node for node in result.nodes if node.ready is not None]
    times = [f"{count(len(members), 'node')} Ready after {result.seconds['nodes']:.1f} s"]
    if "dns" in result.seconds:
        times.append(f"DNS after {result.seconds['dns']:.1f} s")
    if result.apps and result.apps.well:
        times.append(f"apps after {result.seconds['apps']:.1f} s")
    lines = [nodes_table(result.nodes), "", f"{result.plex}: {did}; {', '.join(times)}"]
    if result.apps:
        lines[1:1] = ["", apps_text(result.apps)]
    ours = [node for node in result.nodes if node.instance]
    if result.changes:
        lines += [
            "",
            f"export KUBECONFIG={result.kubeconfig}",
            f"plexctl ssh {ours[-1].name}",
            f"plexctl status {result.plex}",
        ]
    return "\n".join(lines)


def _status(result: StatusResult) -> str:
    lines = [nodes_table(result.nodes), ""]
    if result.well:
        return "\n".join([*lines, f"{result.plex}: all is well; the API and DNS answer"])
    if all(row.instance == "missing" for row in result.nodes):
        up = f"{result.plex}: it is not there; `plexctl up {result.plex}` makes it"
        return "\n".join([*lines, up])
    facts = [f"API: {result.api}", f"DNS: {result.dns}", *result.silent]
    fine = ("Running", UNKNOWN, "")
    late = [row.name for row in result.nodes if row.instance not in fine]
    unready = [row.name for row in result.nodes if row.ready is False and row.name not in late]
    facts += [f"not running: {', '.join(late)}"] if late else []
    facts += [f"not Ready: {', '.join(unready)}"] if unready else []
    return "\n".join([*lines, f"{result.plex}: not well", *(f"  {fact}" for fact in facts)])


def nodes_table(rows: Sequence[NodeRow]) -> str:
    head = ("NODE", "ROLE", "STATUS", "ADDRESS", "VERSION", "TYPE", "HOST", "NOTE")
    return table(
        head,
        [
            (
                row.name,
                row.role,
                _node_status(row),
                row.address,
                row.version,
                row.type,
                row.host,
                " ".join(row.note.split()),
            )
            for row in rows
        ],
    )


def _node_status(row: NodeRow) -> str:
    """Ready or not where the cluster says so, else what its instance is."""
    if row.ready is None or row.instance not in ("Running", UNKNOWN, ""):
        return row.instance
    return "Ready" if row.ready else "NotReady"


def _destroy(result: DestroyResult) -> str:
    kinds = Counter(change.kind for change in result.removed)
    gone = [count(number, kind) for kind, number in kinds.items()]
    if result.images:
        gone.append(f"{count(len(result.images), 'image')} ({', '.join(result.images)})")
    return f"{result.plex}: {'removed ' + ', '.join(gone) if gone else 'there was nothing of it'}"


def _list(result: ListResult) -> str:
    if not result.plexes:
        return "no plex yet: `plexctl init` writes a first one"
    rows = [
        (
            "*" if row.current else "",
            row.plex,
            row.kubernetes,
            f"{row.running}/{row.nodes}",
            row.network,
        )
        for row in result.plexes
    ]
    shown = table(("", "PLEX", "KUBERNETES", "RUNNING", "NETWORK"), rows)
    return "\n".join([shown, *(["", *result.silent] if result.silent else [])])


def _bake(result: BakeResult) -> str:
    rows = [
        (row.type, row.kubernetes, row.host, row.name, "baked" if row.changed else "unchanged")
        for row in result.images
    ]
    lines = [table(("TYPE", "KUBERNETES", "HOST", "IMAGE", ""), rows)]
    if result.pruned:
        lines.append(f"removed {', '.join(result.pruned)}")
    return "\n".join(lines)


def _depot(result: DepotResult) -> str:
    where = shown_path(result.folder)
    if not result.components:
        return f"{where}: empty; `plexctl depot fill` fills it, and `up` and `bake` as needed"
    rows = [
        (row.component, row.version, row.source, str(row.artifacts), size(row.size))
        for row in result.components
    ]
    notes = [f"{row.component}: {note}" for row in result.components for note in row.notes]
    whole = size(sum(row.size for row in result.components))
    head = ("COMPONENT", "VERSION", "SOURCE", "FILES", "SIZE")
    return "\n".join([table(head, rows), *notes, f"{where}: {whole}"])


def _verify(result: VerifyResult) -> str:
    lines = [
        f"{one.name} of {one.component} {one.version}: SHA-256 {one.found}, not {one.expected}"
        for one in result.damaged
    ]
    if lines:
        return "\n".join([*lines, "removed; the next fill gets them anew"])
    return f"{count(result.components, 'component')}: every byte is as it was stored"


def _init(result: InitResult) -> str:
    if not result.written:
        return f"{shown_path(result.root)}: unchanged"
    lines = [f"wrote {shown_path(file)}" for file in result.written]
    if any(file.suffix == ".age" for file in result.written):
        opens = result.key or "your passphrase"
        lines += [f"All keys of the lab come from seed.age; {opens} opens it: keep both."]
    return "\n".join([*lines, "", f"plexctl up {result.plex}"])


def _secrets(result: SecretsResult) -> str:
    if not result.files:
        return "no encrypted file below clusters/ and apps/"
    return "\n".join(
        f"{result.done if row.changed else 'unchanged:'} {shown_path(row.file)}"
        for row in result.files
    )


def _done(changes: Sequence[Changed]) -> str:
    """ "3 created, 1 deleted": of instances; of other objects only where no instance changed."""
    instances = [change for change in changes if change.kind == "instance"]
    sums = Counter(change.action for change in instances or changes)
    return ", ".join(f"{n} {DONE[action]}" for action, n in sums.items()) or "nothing to do"


def _hosts(changes: Sequence[Changed]) -> int:
    return len({change.host for change in changes})
