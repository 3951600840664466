"""Tasks of a Proxmox host, waited for."""

from __future__ import annotations

import time
from typing import Any

from ..resource import RefusedError

SECONDS = 120


def finish(api: Any, upid: Any) -> None:
    """Wait for a task, if that is what an answer is; RefusedError if it failed."""
    if not isinstance(upid, str) or not upid.startswith("UPID:"):
        return
    task = api.nodes(upid.split(":")[1]).tasks(upid)
    end = time.monotonic() + SECONDS
    while (status := task.status.get())["status"] == "running":
        if time.monotonic() > end:
            raise RefusedError(f"task {upid} does not end")
        time.sleep(0.05)
    if status["exitstatus"] != "OK":
        raise RefusedError(f"task {upid}: {status['exitstatus']}")
