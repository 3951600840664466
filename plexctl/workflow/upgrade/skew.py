"""Which versions of Kubernetes a cluster may go to. Pure.

https://kubernetes.io/releases/version-skew-policy/: API servers differ by one minor version at
most, and kubelets are never newer and at most three minor versions older than their API server.
"""

from __future__ import annotations

from collections.abc import Mapping

from plexctl.errors import UsageError

KUBELETS = 3
"""Minor versions by which a kubelet may be older than the API server."""


def numbers(version: str) -> tuple[int, ...]:
    """ "v1.36.3" as numbers that can be compared. UsageError for anything else."""
    try:
        return tuple(int(part) for part in version.removeprefix("v").partition("-")[0].split("."))
    except ValueError as error:
        raise UsageError(f"{version!r} is not a version of Kubernetes") from error


def minor(version: str) -> str:
    """ "1.36" of "v1.36.3"."""
    return ".".join(map(str, numbers(version)[:2]))


def require_skew(plex: str, before: str, after: str, kubelets: Mapping[str, str]) -> None:
    """UsageError if a cluster of version `before` cannot become one of version `after`.

    `kubelets` are the versions of its nodes, by name. Those of a plex are replaced; a machine that
    has joined by itself keeps its kubelet.
    """
    old, new = numbers(before), numbers(after)
    if new < old:
        raise UsageError(
            f"refusing to go from Kubernetes {before} back to {after}: Kubernetes supports no"
            " way back",
            hint=f'write `kubernetes: "{before}"` into the plex file, or begin a new cluster:'
            f" `plexctl up {plex} -y`",
        )
    if new[:2] != old[:2] and (new[0], new[1] - 1) != old[:2]:
        raise UsageError(
            f"refusing to go from Kubernetes {before} to {after}: one minor version at a time",
            hint=f"first `plexctl upgrade {plex} --to {old[0]}.{old[1] + 1}`",
        )
    late = [name for name, one in kubelets.items() if numbers(one)[1] < new[1] - KUBELETS]
    if late:
        raise UsageError(
            f"kubelets of {', '.join(late)} are too old for Kubernetes {after}",
            hint=f"they may be {KUBELETS} minor versions older; upgrade these machines first",
        )
