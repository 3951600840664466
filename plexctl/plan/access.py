"""Files with which a user reaches a plex: kubeconfig, SSH configuration, Ansible inventory."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from plexctl.keys.pki import ClusterKeys
from plexctl.keys.seed import RootSeed
from plexctl.keys.ssh import client_key, host_key
from plexctl.model.nodes import nodes
from plexctl.model.plex import Plex
from plexctl.model.ssh_words import quoted
from plexctl.plan.boot.files import BootFile, private, text
from plexctl.plan.documents import dump
from plexctl.plan.kubernetes.kubeadm import forwarded_endpoint
from plexctl.plan.kubernetes.kubeconfig import kubeconfig

TEMPLATE = re.compile("{[{%#]")
"""The beginning of a template of Ansible, in a text."""


def admin_kubeconfig(plex: Plex, seed: RootSeed) -> str:
    """The user's kubeconfig. It only changes with the epoch of the plex.

    All names in it contain the name of the plex: kubectl may read several files at once.
    """
    keys = ClusterKeys.derive(seed, plex.name, plex.epoch)
    user = f"{plex.name}-admin"
    return dump(
        kubeconfig(
            plex, keys.ca.pair.certificate, user, keys.admin(), server=forwarded_endpoint(plex)
        )
    )


def access_files(plex: Plex, seed: RootSeed, folder: Path) -> tuple[BootFile, ...]:
    """The files in `folder` for the user's own tools: `ssh -F ssh_config demo2`."""
    return (
        private(str(folder / "kubeconfig"), admin_kubeconfig(plex, seed).encode()),
        private(str(folder / "id_ed25519"), client_key(seed).private.reveal()),
        text(str(folder / "known_hosts"), known_hosts(plex, seed)),
        text(str(folder / "ssh_config"), ssh_config(plex, folder)),
    )


def known_hosts(plex: Plex, seed: RootSeed) -> str:
    lines = []
    for node in nodes(plex):
        kind, key = host_key(seed, plex.name, plex.epoch, node.name).public.split()[:2]
        lines.append(f"{node.name},{node.address.ip} {kind} {key}")
    return "\n".join(lines) + "\n"


def ssh_config(plex: Plex, folder: Path) -> str:
    """One entry a node. ssh uses nothing of the user's own configuration or keys with it.

    UsageError for a folder whose path no ssh_config can contain.
    """
    blocks = [
        f"Host {node.name}\n  HostName {node.address.ip}\n  HostKeyAlias {node.name}\n"
        for node in nodes(plex)
    ]
    common = (
        "Host *\n"
        "  User root\n"
        f"  IdentityFile {quoted(folder / 'id_ed25519')}\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {quoted(folder / 'known_hosts')}\n"
        "  StrictHostKeyChecking yes\n"
    )
    if plex.api_forward and plex.api_forward.ssh:
        # The hop to the host uses the user's own configuration and keys.
        user, _, place = plex.api_forward.ssh.partition("@")
        host, _, port = place.partition(":")
        common += f"  ProxyCommand ssh -p {port or 22} -W %h:%p {user}@{host}\n"
    return "\n".join((*blocks, common))


def inventory(lab: Path, plexes: tuple[tuple[Plex, Path], ...]) -> dict[str, Any]:
    """Ansible's dynamic inventory (`--list`): a group per plex, role and type.

    `lab` is the lab's folder; each plex comes with the folder of its access files.
    """
    groups: dict[str, list[str]] = {}
    variables: dict[str, dict[str, object]] = {}
    for plex, folder in plexes:
        for node in nodes(plex):
            for group in (plex.name, str(node.role), f"type_{node.type.name}"):
                groups.setdefault(group, []).append(node.name)
            variables[node.name] = {
                "ansible_host": str(node.address.ip),
                "ansible_user": "root",
                "ansible_ssh_common_args": _untemplated(
                    shlex.join(("-F", str(folder / "ssh_config")))
                ),
                "plex": plex.name,
                "plex_pods": str(node.pods),
            }
    return {
        "_meta": {"hostvars": variables},
        "all": {"children": sorted(groups), "vars": {"plexctl_lab": _untemplated(str(lab))}},
        **{group: {"hosts": members} for group, members in sorted(groups.items())},
    }


def _untemplated(path: str) -> str | dict[str, str]:
    """A text that Ansible takes as it is. A folder's name could be a template that runs programs.

    https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_advanced_syntax.html#unsafe-or-raw-strings
    """
    return {"__ansible_unsafe": path} if TEMPLATE.search(path) else path
