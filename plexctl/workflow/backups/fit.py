"""Whether the cluster in a backup can be the one that a plex file describes. Pure."""

from __future__ import annotations

import json

from plexctl.errors import UsageError
from plexctl.model.backup import Manifest, minor
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.plex import Plex


def require_fit(plex: Plex, lab: str, manifest: Manifest) -> None:
    """UsageError if the cluster in a backup cannot run with the files of `plex`."""
    if (manifest.plex, manifest.lab) != (plex.name, lab):
        raise _refused(
            f"it is one of plex {manifest.plex}, not of {plex.name}",
            "the keys of a cluster follow from the name of its plex:"
            f" `plexctl up {manifest.plex} --restore …`",
        )
    if plex.engine is ProvisionEngine.TOFU:
        raise _refused(
            f"{plex.name} has the engine tofu, which would write the files of a first start again",
            f"restore with `plexctl engine direct {plex.name}`, then choose tofu again",
        )
    if json.loads(plex.cluster).get("etcd", {}).get("local", {}).get("dataDir"):
        raise _refused(
            f"{plex.name} has `etcd.local.dataDir`: plexctl restores to /var/lib/etcd only",
            f"remove the field `kubeadm.cluster.etcd.local.dataDir` from {plex.file}",
        )
    _require_version(plex, manifest)
    for field, saved, wanted in (
        ("epoch", manifest.epoch, plex.epoch),
        ("networks.services", manifest.services, str(plex.networks.services)),
        ("domain", manifest.domain, plex.domain),
    ):
        if saved != wanted:
            raise _refused(
                f"its cluster has `{field}: {saved}`, and {plex.name} has {wanted}",
                f"set `{field}: {saved}` in {plex.file}",
            )


def _require_version(plex: Plex, manifest: Manifest) -> None:
    """Kubernetes goes on from the same minor version, or from the one before."""
    saved, wanted = manifest.minor, minor(plex.kubernetes)
    if wanted not in (saved, (saved[0], saved[1] + 1)):
        text = ".".join(map(str, saved))
        raise _refused(
            f"its cluster has Kubernetes {manifest.kubernetes}, and {plex.name} has"
            f" {plex.kubernetes}",
            f'set `kubernetes: "{text}"` in {plex.file} for the restore: a control plane goes up by'
            " one minor version at a time, and never down",
        )


def _refused(reason: str, hint: str) -> UsageError:
    return UsageError(f"this backup cannot be restored: {reason}", hint=hint)
