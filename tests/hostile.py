"""The lab of tests/hostile-lab, and the verbs that run on it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "hostile-lab"
BASE = "base"

USER = {
    "docs/thesis": "thesis",
    "demo/thesis": "thesis",
    ".ssh/id_ed25519": "the user's own key",
    ".ssh/known_hosts": "the user's hosts",
    ".bashrc": "alias ll='ls -l'",
    "other/plex.yaml": "workers: 1\n",
    "other/hosts.yaml": "hosts: {local: {}}\n",
    "other/x.yaml": "kind: ConfigMap\n",
}
"""Files in the home folder of the user that the lab tries to reach."""

VERBS = (
    "list",
    "use demo",
    "plan demo",
    "status demo",
    "up demo",
    "scale demo --workers 3 -y",
    "replace demo1 --plex demo -y",
    "engine tofu demo",
    "engine direct demo",
    "destroy demo -y",
    "destroy docs -y",
    "destroy demo --images -y",
    "timeline",
    "timeline --list",
    "timeline up",
    "kubeconfig demo",
    "inventory",
    "inventory --host demo1",
    "ssh demo1",
    "exec demo1 -- true",
    "logs demo1",
    "logs demo1 --follow",
    "bake",
    "depot list",
    "init",
    "init other",
    "init demo --gitops --app metrics-server",
    "import plexhocs missing.tfvars",
    "export plexhocs",
    "host list",
    "host add far https://127.0.0.1:1",
    "host remove local",
    "flux push demo",
    "flux status demo",
    "flux diff demo",
    "flux key demo",
    "flux token demo",
    "registry status",
    "registry up",
    "registry destroy -y",
    "secret encrypt apps/secret.yaml",
    "secret rotate",
    "render",
    "trust",
    "trust --list",
    "trust --revoke",
)
"""They need neither a network nor a terminal."""

RUNNING = ("depot fill", "host prepare local", "secret edit apps/secret.yaml", "plan demo --tofu")
"""Verbs that start programs if the lab is not refused first."""


def attacks() -> tuple[str, ...]:
    """The names of all attacks."""
    folders = {one.name for one in FOLDER.iterdir() if one.is_dir()} - {BASE}
    return tuple(sorted(folders | {name for of in _special().values() for name in of}))


def plant(lab: Path, user: Path, *names: str) -> None:
    """Write the files of attacks over those of the lab at `lab`. `user` is the home folder.

    Links are the last: nothing is written through one.
    """
    special = _special()
    for name in names:
        if (FOLDER / name).is_dir():
            _copy(FOLDER / name, lab, user)
        for file in special["modules"].get(name, ()):
            (lab / file).write_text(f"open('/pwned-{name}', 'w')\n")
    for name in names:
        for file in special["fifos"].get(name, ()):
            os.mkfifo(_free(lab / file))
        for file in special["folders"].get(name, ()):
            _free(lab / file).mkdir()
    for name in names:
        for file, target in special["links"].get(name, {}).items():
            plant_link(lab, user, file, target)


def links(name: str) -> dict[str, str]:
    """The links of an attack: where they are in the lab, and where they lead in the user's home."""
    return dict(_special()["links"][name])


def plant_link(lab: Path, user: Path, file: str, target: str) -> None:
    above = (lab / file).relative_to(lab).parents
    if not any((lab / one).is_symlink() for one in above):  # of two such links, one is enough
        _free(lab / file).symlink_to(user / target)


def _special() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((FOLDER / "special.yaml").read_text()))


def _copy(source: Path, lab: Path, user: Path) -> None:
    for file in (one for one in sorted(source.rglob("*")) if one.is_file()):
        target = lab / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.write_text(file.read_text().replace("@USER@", str(user)))


def _free(file: Path) -> Path:
    """`file` after whatever was there is deleted, in a folder that exists."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    file.unlink(missing_ok=True)
    return file
