"""The one door to Ansible (through ansible-runner). Every quirk of the library is here."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plexctl.clients.process import LAST_LINES
from plexctl.errors import PlexError

Variables = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Play:
    """One task file of one role, to be applied to some machines."""

    role: Path  # the role's folder
    tasks: str  # "runtime": tasks/runtime.yml
    machines: Mapping[str, Variables]  # by name, with what connects to each: `incus()`
    variables: Variables = field(default_factory=dict)


def incus(instance: str) -> Variables:
    """What connects Ansible to an instance of the Incus server that runs here."""
    return {
        "ansible_connection": "community.general.incus",
        "ansible_host": instance,
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def apply(
    play: Play,
    *,
    work: Path,
    log: Path,
    on_task: Callable[[str], None] = lambda name: None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Apply `play`; `on_task` hears each task's name as it begins.

    All that Ansible prints goes to `log`. `work` is a folder for what is needed meanwhile.
    PlexError with the failed task and what its machine said.
    """
    watch = _Watch(on_task)
    # A fresh folder for each run: the library keeps what it is given, and the next run reads it.
    with (
        tempfile.TemporaryDirectory(prefix="ansible-", dir=work) as folder,
        log.open("w") as watch.output,
    ):
        status = _run(Path(folder), play, dict(env or {}), watch.event)
    if status == "canceled":
        raise KeyboardInterrupt
    if status != "successful":
        raise watch.failure(play, log)


class _Watch:
    """Listens to the events of one run."""

    def __init__(self, on_task: Callable[[str], None]) -> None:
        self._on_task = on_task
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._failures: list[tuple[str, str, Mapping[str, Any]]] = []
        self.output: Any = None

    def event(self, event: Mapping[str, Any]) -> bool:
        data = event.get("event_data", {})
        match event.get("event"):
            case "playbook_on_task_start":
                # "/where/the/role/is : Enable containerd"
                self._on_task(str(data["name"]).rpartition(" : ")[2])
            case "runner_on_failed" | "runner_on_unreachable" if not data.get("ignore_errors"):
                self._failures.append((str(data["task"]), str(data["host"]), data["res"]))
        if text := str(event.get("stdout", "")):
            self.output.write(text + "\n")
            self._last.extend(text.splitlines())
        return False  # the library need not write the event down

    def failure(self, play: Play, log: Path) -> PlexError:
        hint = f"all that Ansible printed is in {log}"
        if not self._failures:
            summary = f"Ansible could not apply {play.tasks} of role {play.role.name}"
            return PlexError(summary, details=self._last, hint=hint)
        task, machine, result = self._failures[0]
        said = [str(result.get("msg", ""))]
        for stream in ("module_stderr", "stderr", "stdout"):
            said += str(result.get(stream, "")).splitlines()[-LAST_LINES:]
        return PlexError(
            f"{machine}: the task {task!r} of role {play.role.name} failed",
            details=[line for line in said if line],
            hint=hint,
        )


def _run(
    folder: Path,
    play: Play,
    env: dict[str, str],
    event: Callable[[Mapping[str, Any]], bool],
) -> str:
    """Returns the library's word for how it ended."""
    import ansible_runner

    playbook = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.import_role": {
                        "name": str(play.role.resolve()),
                        "tasks_from": play.tasks,
                    }
                }
            ],
        }
    ]
    hosts = {name: dict(variables) for name, variables in play.machines.items()}
    with _own_signals():
        try:
            runner = ansible_runner.run(
                private_data_dir=str(folder),
                playbook=playbook,
                inventory={"all": {"hosts": hosts}},
                extravars=dict(play.variables),
                envvars=_environment(folder) | env,
                event_handler=event,
                quiet=True,
            )
        except SystemExit as error:
            raise PlexError("Ansible could not be started", details=(str(error),)) from error
    return str(runner.status)


def _environment(folder: Path) -> dict[str, str]:
    config = folder / "ansible.cfg"
    # Nothing of the user's own Ansible has a say, and nothing of ours is left in their home.
    config.write_text(
        f"[defaults]\nhome = {folder}\nretry_files_enabled = false\n"
        "[connection]\npipelining = true\n"
    )
    # Ansible's programs lie beside this interpreter: the environment need not be activated.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {"ANSIBLE_CONFIG": str(config), "LC_ALL": "C.UTF-8", "PATH": path}


@contextmanager
def _own_signals() -> Iterator[None]:
    """The library takes over two signals in the main thread and keeps them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
