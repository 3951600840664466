"""The client of Ansible (through ansible-runner). Every quirk of the library is here."""

from __future__ import annotations

import os
import shlex
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plexctl.clients.environment import NETWORK, SSH, environment, search_path
from plexctl.clients.plays import play_runner, signals_recorded
from plexctl.clients.private_folder import private_folder
from plexctl.clients.process import LAST_LINES, nothing_left_of
from plexctl.errors import Interrupted, PlexError, UsageError
from plexctl.model.ssh_words import quoted
from plexctl.plan.access import TEMPLATE

Variables = Mapping[str, object]

PYTHON = "/usr/bin/python3"
"""The Python interpreter on machines that roles are applied to."""

CONNECT = 15
"""Seconds in which a machine must answer SSH."""

PLAY = 3000
"""Seconds that a play may take: less than the time that other bakes wait for the lock."""


@dataclass(frozen=True, slots=True)
class Play:
    """One task file of one role, to be applied to some machines."""

    role: Path  # the role's folder
    tasks: str  # "runtime": tasks/runtime.yml
    machines: Mapping[str, Variables]  # by name, with connection variables: `incus()`
    variables: Variables = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlayTask:
    """A task that has run. `part` is its file in the role, without the extension: "packages"."""

    part: str
    name: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of a play. `answers` are the values that its tasks returned with `set_stats`."""

    tasks: tuple[PlayTask, ...]  # in order; without skipped tasks
    answers: Mapping[str, Any]


def incus(instance: str, remote: str | None = None, project: str | None = None) -> Variables:
    """Variables that connect Ansible to an instance of an Incus server.

    `remote` is the name of the server in the configuration of the command incus; None: the server
    of this machine. `project` is None for the project default.
    """
    return {
        "ansible_connection": "community.general.incus",
        "ansible_host": instance,
        "ansible_python_interpreter": PYTHON,
        **({"ansible_incus_remote": remote} if remote else {}),
        **({"ansible_incus_project": project} if project else {}),
    }


def local() -> Variables:
    """Variables for this machine. A user other than root needs sudo without a password."""
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": PYTHON,
        **_become(os.geteuid() == 0),
    }


def ssh(
    address: str,
    *,
    user: str = "root",
    key: Path | None = None,
    port: int | None = None,
    known_hosts: Path | None = None,
    accept_new: bool = False,
) -> Variables:
    """Variables that connect Ansible over SSH. Users other than root need sudo without a password.

    Only known host keys are accepted, or with `accept_new` also an unknown one. The user's own SSH
    configuration applies to options that are not given. SSH never prompts.
    """
    options = [
        "BatchMode=yes",
        # Detects within a minute that a machine has stopped answering.
        "ServerAliveInterval=15",
        f"StrictHostKeyChecking={'accept-new' if accept_new else 'yes'}",
    ]
    if key:
        options.append("IdentitiesOnly=yes")
    if known_hosts:
        options += [f"UserKnownHostsFile={quoted(known_hosts)}", "GlobalKnownHostsFile=/dev/null"]
    variables: dict[str, object] = {
        "ansible_connection": "ssh",
        "ansible_host": address,
        "ansible_user": user,
        "ansible_python_interpreter": PYTHON,
        "ansible_ssh_common_args": shlex.join(w for one in options for w in ("-o", one)),
        **_become(user == "root"),
    }
    if port:
        variables["ansible_port"] = port
    if key:
        variables["ansible_ssh_private_key_file"] = str(key)
    return variables


def _become(root: bool) -> dict[str, object]:
    return {} if root else {"ansible_become": True, "ansible_become_method": "sudo"}


def apply(
    play: Play,
    *,
    work: Path,
    log: Path,
    on_task: Callable[[str], None] = lambda name: None,
    env: Mapping[str, str] | None = None,
) -> Applied:
    """Apply `play`; `on_task` is called with each task's name when it begins.

    The output of Ansible goes to `log`. `work` is a folder for temporary files. PlexError with the
    failed task and its output, or if the machine is unreachable; UsageError for values that Ansible
    would evaluate.
    """
    _refuse_templates((str(play.role), play.machines, play.variables))
    watch = _Watch(on_task)
    # A new folder for each run: the library stores its input, and the next run would read it.
    with (
        private_folder("ansible", work) as folder,
        # SSH's sockets: a path to one has at most 108 bytes.
        private_folder("plexctl-ssh", Path("/tmp")) as control,  # noqa: S108 - a new folder, 0700
        log.open("w") as watch.output,
    ):
        status = _run(folder, control, play, dict(env or {}), watch.event)
    if status == "canceled":
        raise Interrupted
    if status != "successful":
        raise watch.failure(play, log, status)
    return Applied(tuple(watch.tasks), watch.answers)


def _refuse_templates(value: object) -> None:
    """UsageError for a template in a value: it could run programs on this machine."""
    if isinstance(value, str) and TEMPLATE.search(value):
        raise UsageError(
            f"refusing to use {value!r}: Ansible would evaluate it as a template",
            hint="use a name without `{{`, `{%` and `{#`",
        )
    if isinstance(value, Mapping):
        value = (*value.keys(), *value.values())
    if isinstance(value, list | tuple):
        for one in value:
            _refuse_templates(one)


class _Watch:
    """Listens to the events of one run."""

    def __init__(self, on_task: Callable[[str], None]) -> None:
        self._on_task = on_task
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._failures: list[tuple[str, str, Mapping[str, Any]]] = []
        self._unreachable: tuple[str, str] | None = None
        self.tasks: list[PlayTask] = []
        self.answers: Mapping[str, Any] = {}
        self.output: Any = None

    def event(self, event: Mapping[str, Any]) -> bool:
        data = event.get("event_data", {})
        match event.get("event"):
            case "playbook_on_task_start":
                # "/where/the/role/is : Enable containerd"
                self._on_task(str(data["name"]).rpartition(" : ")[2])
            case "runner_on_ok":
                # "/where/the/role/is/tasks/packages.yml:12"
                part = Path(str(data.get("task_path", "")).rpartition(":")[0]).stem
                changed = bool(data["res"].get("changed"))
                self.tasks.append(PlayTask(part, str(data["task"]), changed))
            case "runner_on_unreachable":
                self._unreachable = str(data["host"]), str(data["res"].get("msg", ""))
            case "runner_on_failed" if not data.get("ignore_errors"):
                self._failures.append((str(data["task"]), str(data["host"]), data["res"]))
            case "playbook_on_stats":
                self.answers = data.get("artifact_data") or {}
        if text := str(event.get("stdout", "")):
            self.output.write(text + "\n")
            self._last.extend(text.splitlines())
        return False  # the library need not store the event

    def failure(self, play: Play, log: Path, status: str) -> PlexError:
        hint = f"the output of Ansible is in {log}"
        if self._unreachable:
            machine, reason = self._unreachable
            return PlexError(
                f"{machine} cannot be reached",
                details=reason.splitlines(),
                hint=_reach_hint(reason),
            )
        if not self._failures:
            summary = f"Ansible could not apply {play.tasks} of role {play.role.name}"
            summary += f" within {PLAY} s" if status == "timeout" else ""
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


def _reach_hint(said: str) -> str:
    if "Host key verification failed" in said or "host key is known" in said:
        return (
            "compare the machine's host key and add it to known_hosts, or accept it with "
            "--accept-new"
        )
    return "check that `ssh` logs in to it without any prompt"


def _run(
    folder: Path,
    control: Path,
    play: Play,
    env: dict[str, str],
    event: Callable[[Mapping[str, Any]], bool],
) -> str:
    """Returns the library's status of the run."""
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
    with signals_recorded() as signals, nothing_left_of(folder):
        runner = play_runner(
            environment(NETWORK, SSH) | _settings(folder, control) | env,
            handlers={"event_handler": event, "cancel_callback": lambda: bool(signals)},
            private_data_dir=str(folder),
            playbook=playbook,
            inventory={"all": {"hosts": hosts}},
            extravars=dict(play.variables),
            timeout=PLAY,
            quiet=True,
        )
        runner.run()
    return str(runner.status)


def _settings(folder: Path, control: Path) -> dict[str, str]:
    config = folder / "ansible.cfg"
    # Neither ~/.ansible.cfg nor one in the current folder counts, and nothing is left in the home.
    config.write_text(
        f"[defaults]\nhome = {folder}\nretry_files_enabled = false\ntimeout = {CONNECT}\n"
        "[connection]\npipelining = true\n"
        # A connection that is kept for the next task ends soon after the last one.
        "[ssh_connection]\nssh_args = -o ControlMaster=auto -o ControlPersist=10s\n"
        f"control_path_dir = {control}\n"
    )
    return {
        "ANSIBLE_CONFIG": str(config),
        # The library turns it off unless it is in the environment; the configuration is not enough.
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "PATH": search_path(),  # of Ansible's programs
    }
