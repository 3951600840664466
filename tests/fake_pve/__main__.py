"""Serve a fake Proxmox VE for trials by hand: `python -m tests.fake_pve --port 8006`."""

from __future__ import annotations

import argparse
import signal
import threading

from tests.fake_pve import FakePve


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8006)
    parser.add_argument("--nodes", default="pve1", help="names, between commas")
    parser.add_argument("--task-seconds", type=float, default=1.0)
    parser.add_argument("--clone-seconds", type=float, default=3.0)
    parser.add_argument("--agent-seconds", type=float, default=5.0)
    given = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with FakePve(
        nodes=given.nodes.split(","),
        task_seconds=given.task_seconds,
        clone_seconds=given.clone_seconds,
        agent_seconds=given.agent_seconds,
        port=given.port,
    ) as pve:
        secret = pve.add_token("root@pam", "lab")
        pve.add_user("root@pam", "fake")
        print(f"url          {pve.url}")
        print(f"token        root@pam!lab={secret}")
        print("user         root@pam, password fake")
        print(f"fingerprint  {pve.fingerprint}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
