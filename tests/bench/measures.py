"""All that can be measured. What is done for it is in `stories`."""

from __future__ import annotations

from tests.bench.stats import Measure

BIG = (16, 64, 128)
"""Workers of plexes that take minutes."""


def brought_up(workers: int) -> tuple[Measure, ...]:
    """Of a plex that comes up: until all are Ready, and what was spent until then."""
    name = "ready" if workers not in BIG else f"ready-{workers}"
    return (
        Measure(name, f"1+{workers}: all nodes Ready"),
        Measure(f"{name}-processor", "  processor time until then", "core-s", 1, of=name),
        Measure(
            f"{name}-stolen", "  stolen by other machines", "core-s", 1, of=name, compared=False
        ),
        Measure(f"{name}-memory", "  memory of processes then", "MiB", 0, of=name),
        Measure(f"{name}-taken", "  memory not available then", "MiB", 0, of=name),
        Measure(f"{name}-cache", "  files in memory then", "MiB", 0, of=name),
    )


CONTAINER = Measure("container", "1+2: the first container of a pod runs")
DNS = Measure("dns", "1+2: DNS answers a pod")
DNS_PROCESSOR = Measure("dns-processor", "  processor time until then", "core-s", 1, of="dns")
WORKER = Measure("replace-worker", "replace of a worker: Ready")
MASTER = Measure("replace-master", "replace of the master: all Ready")
UPGRADE = Measure("upgrade", "1+2: upgrade, all nodes replaced")
AWAY = Measure("upgrade-away", "  the API away", of=UPGRADE.name)
APPS = Measure("apps", "1+2 with Flux synced: its app answers")
PUSH = Measure("push", "flux push: the change is live")
SAVE = Measure("snapshot-save", "snapshot save of the same")
FROZEN = Measure("snapshot-frozen", "  its nodes frozen", of=SAVE.name)
RESTORE = Measure("snapshot-restore", "snapshot restore of the same: its app answers")
OF_APPS = (APPS, PUSH, SAVE, FROZEN, RESTORE)
SEVERAL = Measure("masters", "3+2: all nodes Ready")
LOST = Measure("masters-lost", "3+2: the API is away when the master at its address is killed")
ONE_OF_SEVERAL = Measure("masters-replace", "3+2: replace of the master at that address: Ready")
REPLACED = Measure("masters-replaced", "  the API is away meanwhile", of=ONE_OF_SEVERAL.name)
PLAN = Measure("plan", "plan, nothing to do")
BAKE = Measure("bake", "bake, nothing to do")
HELP = Measure("help", "plexctl --help")
COMPLETE = Measure("complete", "a word completed in a shell")
SCALE = Measure("scale-18", "scale from 2 workers to 18: all Ready")
IDLE_64 = Measure("idle-64", "1+64 at rest: processors busy", "cores")
PLAN_64 = Measure("plan-64", "1+64: plan, nothing to do")
STATUS_64 = Measure("status-64", "1+64: status")

MEASURES = (
    *brought_up(2),
    CONTAINER,
    DNS,
    DNS_PROCESSOR,
    WORKER,
    MASTER,
    UPGRADE,
    AWAY,
    SEVERAL,
    LOST,
    ONE_OF_SEVERAL,
    REPLACED,
    *OF_APPS,
    PLAN,
    BAKE,
    HELP,
    COMPLETE,
    *brought_up(16),
    SCALE,
    *brought_up(64),
    IDLE_64,
    PLAN_64,
    STATUS_64,
    *brought_up(128),
)
"""In the order of the table."""
