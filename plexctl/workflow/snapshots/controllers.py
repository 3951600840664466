"""The controllers of a cluster that comes back: they start once its API answers, as in a new one.

If they started with the API, they would take processor time from it. Where it takes more than 10 s,
the controller manager gives up, and kubelet waits before it starts it again; meanwhile nothing
updates the endpoints of services.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from plexctl.errors import PlexError
from plexctl.model.plex import Role
from plexctl.model.types import Form
from plexctl.plan.boot.node import HELD_MANIFESTS, MANIFESTS
from plexctl.workflow.snapshots.members import Member, Members, on_all

_NAMES = "kube-controller-manager kube-scheduler"


def _move(source: str, target: str) -> tuple[str, ...]:
    """A command that moves the manifests. It may be repeated."""
    each = f'[ ! -e "{source}/$name.yaml" ] || mv "{source}/$name.yaml" "{target}/"'
    return ("sh", "-ec", f'mkdir -p "{target}"; for name in {_NAMES}; do {each}; done')


HOLD, RELEASE = _move(MANIFESTS, HELD_MANIFESTS), _move(HELD_MANIFESTS, MANIFESTS)


@dataclass(frozen=True, slots=True)
class Controllers:
    """The controllers on masters that are containers: programs run in those from the beginning."""

    masters: tuple[Member, ...]

    @classmethod
    def of(cls, members: Members) -> Controllers:
        chosen = {
            node.name
            for node in members.planned()
            if node.role is Role.MASTER and node.type.base.form is Form.CONTAINER
        }
        return cls(members.named(chosen))

    def hold(self, started: Member) -> None:
        """Take their manifests from a master that was just started, before its kubelet reads them.

        A failure costs only time.
        """
        if started in self.masters:
            with suppress(PlexError):
                started.host.execute(started.name, HOLD)

    def release(self) -> None:
        """Let kubelets start them. PlexError if one cannot be reached."""

        def release(member: Member) -> None:
            done = member.host.execute(member.name, RELEASE)
            if done.code:
                raise PlexError(
                    f"the controllers of {member.name} cannot be started: {done.stderr.strip()}",
                    hint=f"move the files of {HELD_MANIFESTS} on it to {MANIFESTS}",
                )

        on_all(self.masters, release)
