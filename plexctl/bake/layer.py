"""The tasks of a layer, applied to the machine that becomes its image."""

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
    """Apply the uppermost layer of `recipe` to a machine: its name, and what connects to it.

    The machine sees what the layer is made of at `stage`; `nodes` says what those of the image may
    do. PlexError if a task fails.
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
