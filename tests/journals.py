"""The journal of a run of many nodes, as lines."""

from __future__ import annotations

import json


def journal(workers: int, *, verb: str = "create") -> list[str]:
    """Workers beyond the second start once the API answers, four at a time."""
    names = [f"big{n + 1}" for n in range(workers + 1)]
    records: list[dict[str, object]] = [
        {"event": "Began", "at": 0.0, "time": "2026-11-21T10:00:00.000000+00:00", "lived": 0.2},
        {
            "event": "Intended",
            "at": 0.2,
            "changes": {f"instance/local/{name}": f"{verb}: missing" for name in names},
        },
        {"event": "StepBegan", "at": 0.2, "title": "create instances", "expect": ""},
    ]
    for n, name in enumerate(names):
        made = 0.3 + 0.1 * n
        starts = made + 0.4 if n < 3 else max(made + 0.4, 7 + 0.7 * (n // 4))
        life = {
            "creating": made,
            "created": made + 0.25,
            "pushed": made + 0.35,
            "starting": starts,
            "started": starts + 0.4,
            "registered": max(7.2, starts + 2.1 + 0.1 * (n % 5)),
            "ready": max(7.6, starts + 2.4 + 0.2 * (n % 3)),
        }
        records += [mark(at, name, what) for what, at in life.items()]
    end = max(float(str(record["at"])) for record in records)
    records += [
        mark(6.5, names[0], "api"),
        mark(14.0, names[0], "dns"),
        {
            "event": "StepEnded",
            "at": end - 2,
            "title": "create instances",
            "outcome": "changed",
            "text": f"{len(names)} created",
            "seconds": end - 2.2,
        },
        {"event": "Done", "at": end + 0.1},
    ]
    return [json.dumps(record) for record in records]


def mark(at: float, node: str, what: str) -> dict[str, object]:
    return {"event": "Marked", "at": round(at, 3), "node": node, "what": what}
