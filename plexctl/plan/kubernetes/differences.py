"""What kubeadm writes in another way for older versions of Kubernetes than the newest one."""

from __future__ import annotations

from plexctl.plan.documents import Document

FLEX_VOLUMES = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
FLEX_VOLUMES_FLAG = "flex-volume-plugin-dir"


def minor(kubernetes: str) -> int:
    """36 of "1.36.3"."""
    return int(kubernetes.split(".")[1])


def flex_volumes(kubernetes: str, manager: Document) -> tuple[tuple[str, str, str, bool], ...]:
    """The volume of the controller manager that kubeadm mounts up to 1.35.

    `manager` are the settings of the controller manager, whose flag may name another folder.
    """
    if minor(kubernetes) >= 36:
        return ()
    named = (one["value"] for one in manager["extraArgs"] if one["name"] == FLEX_VOLUMES_FLAG)
    folder = next(named, FLEX_VOLUMES)
    return (("flexvolume-dir", folder, "DirectoryOrCreate", False),)
