"""Apply the Ansible tasks of a layer to the machine that becomes its image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plexctl.bake.roles import task_count
from plexctl.clients import ansible
from plexctl.model.events import Step
from plexctl.model.hosts import HostFacts
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
    that the image's nodes run on. PlexError if a task fails.
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
    ansible.apply(
        play,
        work=work,
        log=logs / f"{recipe.layer.name}.log",
        on_task=lambda task: step.progress(task, next(begun, total) / total),
        env=env,
    )
