"""Helpers of the tests of bakes: a type with its recipe, its depot, and roles."""

from __future__ import annotations

from pathlib import Path

from plexctl.clients.ansible import Applied, PlayTask
from plexctl.depot.components import SourceName
from plexctl.depot.store import Artifact, Stored
from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret
from plexctl.model.types import Base, BaseSource, Form, Layer, NodeType, Size
from plexctl.plan.recipes import Recipe, recipe
from tests.fake_incus import FACTS

SEED = RootSeed(Secret(b"s" * 32))
LAB = SEED.lab_id
BASE = Base(
    "debian12",
    "bookworm",
    Form.CONTAINER,
    BaseSource.DEBOOTSTRAP,
    ("systemd",),
    None,
    None,
    None,
)
LAYERS = (Layer("runtime", ("runc",)), Layer("kube", ()))
KUBE = NodeType("kube", "kubenode", BASE, LAYERS, kubernetes=True, privileged=True, size=Size())
APPLIED = Applied((PlayTask("kube", "Do it", True),), {})
DIGESTS = {("base", "base"): "b", ("kubenode", "runtime"): "r", ("kubenode", "kube"): "k"}


def kube(**digests: str) -> Recipe:
    """The recipe of type `kube`; `kube="k2"` is one whose layer `kube` has changed."""
    roles = {(role, layer): digests.get(layer, old) for (role, layer), old in DIGESTS.items()}
    return recipe(KUBE, "1.36.3", roles=roles, artifacts={"runc": "1"}, facts=FACTS)


def stored(folder: Path) -> dict[str, Stored]:
    """The depot of `KUBE`: one program, stored as blobs are."""
    blob = folder / "4ad5b0"
    blob.write_bytes(b"runc")
    blob.chmod(0o444)
    runc = Artifact("runc", "runc", "1.4.0", "4ad5b0", 4, blob, 0o755)
    return {"runc": Stored("runc", "1.4.0", SourceName.DIR, (runc,), ())}


def role_folder(root: Path, name: str, *layers: str) -> Path:
    """A role whose layers have one task each."""
    tasks = root / name / "tasks"
    tasks.mkdir(parents=True, exist_ok=True)
    for layer in layers:
        (tasks / f"{layer}.yml").write_text("- name: Do it\n  ansible.builtin.ping:\n")
    return root / name
