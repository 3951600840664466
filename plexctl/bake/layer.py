"""Apply the Ansible tasks of a layer to the machine that becomes its image."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from plexctl.bake.roles import task_count
from plexctl.clients import ansible
from plexctl.depot.index import Stored
from plexctl.errors import PlexError
from plexctl.model.command import CommandResult
from plexctl.model.events import Step
from plexctl.model.host_spec import HostFacts
from plexctl.plan.recipes import Recipe


def apply_layer(
    recipe: Recipe,
    role: Path,
    machine: tuple[str, ansible.Variables],
    *,
    stage: str,
    nodes: HostFacts,
    step: Step,
    work: Path,
    logs: Path,
    env: Mapping[str, str] | None = None,
) -> None:
    """Apply the uppermost layer of `recipe` to `machine`: its name, and variables to connect to it.

    The files of the layer are in the machine's folder `stage`; `nodes` are the facts of the kernel
    that the image's nodes run on. PlexError if a task fails, and if no task was applied.
    """
    total = task_count(role, recipe.layer.name)
    begun = iter(range(total))
    name, connection = machine
    play = ansible.Play(
        role=role,
        tasks=recipe.layer.name,
        machines={name: connection},
        variables={
            "plex_depot": f"{stage}/depot",
            "plex_role": f"{stage}/role",
            "plex_cgroup": nodes.cgroup,
            "plex_sys_resource": nodes.sys_resource,
            "plex_kubernetes": recipe.kubernetes,
            "plex_form": recipe.base.form.value,
        },
    )
    applied = ansible.apply(
        play,
        work=work,
        log=logs / f"{recipe.layer.name}.log",
        on_task=lambda task: step.progress(task, next(begun, total) / total),
        env=env,
    )
    if not applied.tasks:
        raise PlexError(
            f"no task of layer {recipe.layer.name} of role {recipe.role} was applied",
            hint=f"{role}/tasks/{recipe.layer.name}.yml has no task, or conditions skip them all",
        )


def check_programs(
    recipe: Recipe, artifacts: Mapping[str, Stored], run: Callable[[str], CommandResult]
) -> None:
    """PlexError if a machine has no program of one of the components of the uppermost layer.

    `run` runs a shell script on the machine. A role of a lab may leave out some programs of a
    component, but with none of them the image must not get its name.
    """
    programs = {
        component: {one.name for one in artifacts[component].artifacts if one.mode & 0o100}
        for component in recipe.layer.artifacts
    }
    names = sorted(name for found in programs.values() for name in found)
    if not names:
        return
    tests = " -o ".join(f"-name {shlex.quote(name)}" for name in names)
    done = run(f"find /usr /opt -xdev -type f -perm -u+x \\( {tests} \\) -printf '%f\\n'")
    found = set(done.stdout.split())
    missing = [component for component, those in programs.items() if those and not those & found]
    if missing:
        raise PlexError(
            f"the image has no program of {', '.join(missing)}",
            details=done.stderr.splitlines()[-4:],
            hint=f"layer {recipe.layer.name} of role {recipe.role} must install them below /usr"
            " or /opt, with their own names",
        )
