"""Results of a run: from ginkgo's JSON report to text, and to the table of the docs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from plexctl.depot.pins import load_pins

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "conformance.md"
TITLES = {"parallel": "Parallel", "serial": "Serial, slow and disruptive"}
RAN = ("passed", "failed", "timedout", "panicked", "interrupted", "aborted")
GROUP = re.compile(r"^\[(sig-[a-z-]+)\]")


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec that has run."""

    name: str  # "[sig-node] Pods should …"
    state: str
    message: str  # why it failed

    @property
    def group(self) -> str:
        found = GROUP.match(self.name)
        return found[1] if found else "other"


def read(report: Path) -> tuple[Spec, ...]:
    """The specs that have run, sorted by name."""
    reports = json.loads(report.read_text())
    specs = (one for each in reports for one in each["SpecReports"] or ())
    return tuple(
        sorted(
            (_spec(one) for one in specs if one["LeafNodeType"] == "It" and one["State"] in RAN),
            key=lambda spec: spec.name,
        )
    )


def _spec(report: dict[str, object]) -> Spec:
    texts = report["ContainerHierarchyTexts"] or []
    assert isinstance(texts, list)
    failure = report.get("Failure") or {}
    assert isinstance(failure, dict)
    name = " ".join((*texts, str(report["LeafNodeText"])))
    return Spec(name, str(report["State"]), str(failure.get("Message", "")))


def failed(specs: Sequence[Spec]) -> tuple[Spec, ...]:
    return tuple(spec for spec in specs if spec.state != "passed")


def escaped(name: str) -> str:
    """`name` as a regular expression of Go: every special character stands for itself."""
    return re.sub(r"([][\\.+*?()|{}^$])", r"\\\1", name)


def text(specs: Sequence[Spec], seconds: float) -> str:
    """A few lines for a terminal: what failed, and the counts last."""
    lines = [f"{spec.state}  {spec.name}\n    {_first(spec.message)}" for spec in failed(specs)]
    passed = len(specs) - len(failed(specs))
    return "\n".join((*lines, f"{passed} of {len(specs)} specs passed in {seconds:.0f} s"))


def _first(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else ""


def record(kind: str, specs: Sequence[Spec], seconds: float) -> None:
    """Write the table of one kind of run into its section of the docs."""
    begin, end = f"<!-- {kind} -->\n", f"<!-- end of {kind} -->\n"
    page = PAGE.read_text()
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(head + begin + table(kind, specs, seconds) + end + tail)


def table(kind: str, specs: Sequence[Spec], seconds: float) -> str:
    """Markdown: the specs by group, and the names of those that failed."""
    version = load_pins().releases[0].version
    lost = failed(specs)
    all_groups = Counter(spec.group for spec in specs)
    lost_groups = Counter(spec.group for spec in lost)
    lines = [
        f"{TITLES[kind]}: {len(specs) - len(lost)} of {len(specs)} passed, in {seconds:.0f} s, "
        f"with Kubernetes {version} on one master and two workers, on {date.today():%Y-%m-%d}.",
        "",
        "| Group | Specs | Passed |",
        "|---|---|---|",
        *(f"| {name} | {n} | {n - lost_groups[name]} |" for name, n in sorted(all_groups.items())),
        "",
        *(f"- failed: {spec.name}" for spec in lost),
        *(("",) if lost else ()),
    ]
    return "\n".join(lines) + "\n"
