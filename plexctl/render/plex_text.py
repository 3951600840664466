"""Results about plexes and their nodes, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from plexctl.model.observed import CORDONED, UNKNOWN
from plexctl.provision.change import Action
from plexctl.render.tables import count, table

if TYPE_CHECKING:  # a verb has one of them
    from plexctl.results.changes import ChangeRow, PlanResult
    from plexctl.results.plex import DestroyResult, EngineResult, LogResult
    from plexctl.results.status import ListResult, NodeRow, StatusResult
    from plexctl.results.up import UpResult

SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "-/+",
    Action.START: ">",
    Action.DELETE: "-",
}
ENGINES = {"direct": "plexctl itself", "tofu": "OpenTofu"}


def log(result: LogResult) -> str:
    return "\n".join(result.lines)


def engine(result: EngineResult) -> str:
    state = "is" if result.changed else "already is"
    return f"{result.plex}: the engine {state} {ENGINES[result.engine]}; no node was recreated"


def plan(result: PlanResult) -> str:
    return "\n".join([*(f"note: {note}" for note in result.notes), _plan(result)])


def _plan(result: PlanResult) -> str:
    unreachable = [f"{why}; this plan leaves out the host" for why in result.unreachable]
    if result.unknown:
        unreachable.append(f"{result.plex}: not known: {', '.join(result.unknown)}")
    if result.empty and result.unknown:
        return "\n".join(unreachable)
    if result.empty:
        also = "; OpenTofu has no changes" if result.tofu else ""
        return "\n".join([f"{result.plex}: nothing to do{also}", *unreachable])
    lines = [f"bake first: {', '.join(result.types_to_bake)}"] if result.types_to_bake else []
    width = max((len(SIGNS[change.action]) for change in result.changes), default=0)
    lines += [_change(change, width, _hosts(result.changes)) for change in result.changes]
    sums = Counter(change.action for change in result.changes)
    to_do = (f"{number} to {action}" for action, number in sums.items())
    lines.append(f"{result.plex}: {', '.join(to_do) or 'nothing else to do'}")
    if result.loss:
        lines.append(f"{result.loss}; `plexctl upgrade {result.plex}` keeps them")
    if result.tofu:
        lines += ["", "changes in OpenTofu:", *(f"  {one}" for one in result.tofu.changes)]
    return "\n".join([*lines, *unreachable])


def _change(change: ChangeRow, width: int, hosts: int) -> str:
    line = f"{SIGNS[change.action]:{width}} {change.action} {change.kind} {change.name}"
    if hosts > 1:
        line += f" on {change.host}"
    # The reason to create an object is always the same: it is missing.
    return line if change.action is Action.CREATE else f"{line}: {change.reason}"


def up(result: UpResult) -> str:
    did = changes_text(result.changes)
    if not result.nodes:
        return f"{result.plex}: {did}; `plexctl status {result.plex}` shows its progress"
    members = [node for node in result.nodes if node.ready is not None]
    times = [f"{count(len(members), 'node')} Ready after {result.seconds['nodes']:.1f} s"]
    if "dns" in result.seconds:
        times.append(f"DNS after {result.seconds['dns']:.1f} s")
    if result.apps and result.apps.healthy:
        times.append(f"apps after {result.seconds['apps']:.1f} s")
    lines = [nodes_table(result.nodes), "", f"{result.plex}: {did}; {', '.join(times)}"]
    if result.apps:
        from plexctl.render import apps_text  # `plan` and `status` show no apps

        lines[1:1] = ["", apps_text.apps(result.apps)]
    ours = [node for node in result.nodes if node.instance]
    if result.changes:
        lines += [
            "",
            f"export KUBECONFIG={result.kubeconfig}",
            f"plexctl ssh {ours[-1].name}",
            f"plexctl status {result.plex}",
        ]
    return "\n".join(lines)


def status(result: StatusResult) -> str:
    return "\n".join([_status(result), *(f"note: {note}" for note in result.notes)])


def _status(result: StatusResult) -> str:
    lines = [nodes_table(result.nodes), ""]
    if result.healthy:
        several = f"; etcd: {result.etcd}" if result.etcd else ""
        several += f"; the API's address is on {result.endpoint}" if result.endpoint else ""
        said = f"{result.plex}: healthy; the API answers, CoreDNS is available{several}"
        return "\n".join([*lines, said])
    if all(row.instance == "missing" for row in result.nodes):
        up = f"{result.plex}: not created; `plexctl up {result.plex}` creates it"
        return "\n".join([*lines, up])
    facts = [f"API: {result.api}", f"DNS: {result.dns}", *result.unreachable]
    facts += [f"etcd: {result.etcd}"] if result.etcd else []
    facts += [f"the API's address is on {result.endpoint}"] if result.endpoint else []
    fine = ("Running", UNKNOWN, "")
    late = [row.name for row in result.nodes if row.instance not in fine]
    unready = [row.name for row in result.nodes if row.ready is False and row.name not in late]
    facts += [f"not running: {', '.join(late)}"] if late else []
    facts += [f"not Ready: {', '.join(unready)}"] if unready else []
    cordoned = [row.name for row in result.nodes if row.note == CORDONED]
    facts += [f"cordoned: {', '.join(cordoned)}"] if cordoned else []
    return "\n".join([*lines, f"{result.plex}: unhealthy", *(f"  {fact}" for fact in facts)])


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
    """Ready or NotReady if the cluster reports it, else the status of the instance."""
    if row.ready is None or row.instance not in ("Running", UNKNOWN, ""):
        return row.instance
    return "Ready" if row.ready else "NotReady"


def destroy(result: DestroyResult) -> str:
    kinds = Counter(change.kind for change in result.deleted)
    deleted = [count(number, kind) for kind, number in kinds.items()]
    if result.images:
        deleted.append(f"{count(len(result.images), 'image')} ({', '.join(result.images)})")
    return f"{result.plex}: {'deleted ' + ', '.join(deleted) if deleted else 'nothing to delete'}"


def plexes(result: ListResult) -> str:
    if not result.plexes:
        return "no plex yet: `plexctl init` writes the first one"
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
    return "\n".join([shown, *(["", *result.unreachable] if result.unreachable else [])])


def changes_text(changes: Sequence[ChangeRow]) -> str:
    """ "3 created, 1 deleted": counts instances, or all objects if no instance changed."""
    instances = [change for change in changes if change.kind == "instance"]
    sums = Counter(change.action for change in instances or changes)
    return ", ".join(f"{n} {action.past}" for action, n in sums.items()) or "nothing to do"


def _hosts(changes: Sequence[ChangeRow]) -> int:
    return len({change.host for change in changes})
