"""The verb `init`: writes the first files of a lab, and its seed."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

from plexctl.config.init import check_name, write_first
from plexctl.config.init_gitops import check_names, write_gitops
from plexctl.config.load import load_lab
from plexctl.config.networks import each
from plexctl.depot.pins import load_pins
from plexctl.keys.seed import create, key_file, seed_file, user_config_dir
from plexctl.model.secret import Secret
from plexctl.results.lab import InitResult
from plexctl.workflow.trust.verbs import trust_new_lab

FIRST = "demo"


def init(
    root: Path,
    plex: str | None,
    passphrase: Secret | None = None,
    *,
    gitops: bool = False,
    apps: Sequence[str] = (),
) -> InitResult:
    """Write the missing files of a lab at `root`. Existing files are not changed.

    `plex` defaults to the lab's first plex, or to "demo". A new seed is encrypted with the user's
    key, or with `passphrase`. With `gitops`, the plex has hello-world and `apps`, which Flux
    deploys. The user trusts a new lab. UsageError for an invalid name.
    """
    is_new = not any((root / "clusters").glob("*"))
    versions = load_pins(root / "pins").versions()
    name = plex if plex is not None else _first_plex(root) or FIRST
    check_name(name)
    if gitops:
        check_names(name, apps)
    used = _networks(root, versions)
    minor = versions[0].rpartition(".")[0]
    written = write_first(root, name, kubernetes=minor, used=used)
    if gitops:
        added = write_gitops(load_lab(root, versions), name, apps)
        written = tuple(dict.fromkeys((*written, *added)))
    seed, config = seed_file(root), user_config_dir()
    if not seed.exists():
        create(root, config, passphrase)
        written = (*written, seed)
    if is_new:
        trust_new_lab(root)
    return InitResult(root, name, written, None if passphrase else key_file(config))


def _first_plex(root: Path) -> str | None:
    names = sorted(file.parent.name for file in (root / "clusters").glob("*/plex.yaml"))
    return names[0] if names else None


def _networks(root: Path, versions: tuple[str, ...]) -> tuple[IPv4Network, ...]:
    """All networks of the lab."""
    if not (root / "clusters" / "hosts.yaml").exists():
        return ()
    lab = load_lab(root, versions)
    own = (lab.registry.network,) if lab.registry else ()
    return (*own, *(net for plex in lab.plexes.values() for net in each(plex.networks).values()))
