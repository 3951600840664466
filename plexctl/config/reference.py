"""docs/configuration.md and the schema files, made of the fields' descriptions.

`python -m plexctl.config.reference` writes them anew in a checkout.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plexctl.config.schema import FOLDER, schema_files, schemas
from plexctl.config.shape import OWNED, Schema

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "configuration.md"

_INTRO = """\
# The files of a lab

<!-- Made by `python -m plexctl.config.reference`; change plexctl/config/fields.py instead. -->

A lab is a folder with `clusters/`. plexctl finds it upward from where it is called (or by
`-C DIR`), reads all of its files, and tells all of their problems at once, each with its file,
line and field. `plexctl init` writes the first two:

    clusters/hosts.yaml          the machines that run nodes
    clusters/<plex>/plex.yaml    one Kubernetes cluster; the folder's name is the plex's
    types/<type>.yaml            what a node is; `kube`, `kubevm`, `adm` and `registry` are built in
    types/bases.yaml             operating systems; `debian12`, `debian12-images` and
                                 `debian12-cloud` are built in
    roles/<role>/                Ansible roles that bake types: `kubenode`, `admnode` and `registry`
                                 are built in, and `base`, which bakes the bases
    pins/pins.yaml               versions and checksums of what the depot holds, over the built-in
    depot.lock                   checksums that no pin has; plexctl writes it

A file in the lab's `types/` or a folder in its `roles/` wins over the built-in one of the same
name; the README says under Depot what `pins/` and `depot.lock` do. Files are YAML 1.1. Unknown
fields are refused. A field that is left out, or a mapping with nothing in it, has the default.

- **Names** of plexes have 1 to 10 of a-z, 0-9 and -, with a letter first and last; their nodes are
  `<plex>1` (the master), `<plex>2` and so on.
- **Sizes** have a unit: KiB, MiB, GiB, TiB (powers of 1024) or kB, MB, GB, TB (powers of 1000).
- **Networks**: none may overlap with another one of the lab. What a plex does not name follows from
  its name.
"""

_EXAMPLES = {
    "hosts": """\
hosts:
  local:
    kind: incus
    parallel: 8
""",
    "plex": """\
kubernetes: "1.36"
workers: 6
networks:
  nodes: 10.64.1.0/24
  pods: 10.129.0.0/16
  services: 10.96.16.0/20
groups:
  - nodes: "2-3, 7"
    size: {cpu: 2, memory: 2GiB}
    labels: {disk: fast}
    taints: ["disk=fast:NoSchedule"]
    kubelet: {maxPods: 200}
kubeadm:
  cluster:
    apiServer:
      extraArgs: [{name: event-ttl, value: 2h}]
""",
    "type": """\
role: kubenode
kubernetes: true
privileged: true
layers:
  - {name: runtime, artifacts: [containerd, runc, cni-plugins]}
  - {name: kube, artifacts: [kubernetes, images]}
size: {memory: 4GiB}
""",
    "bases": """\
bookworm-mirror:
  release: bookworm
  mirror: http://deb.debian.org/debian
  packages: [systemd, systemd-sysv, dbus, iproute2, openssh-server, python3]
""",
}


def page() -> str:
    """The text of docs/configuration.md."""
    parts = [_INTRO]
    for kind, schema in schemas().items():
        title, _, about = schema["description"].partition(": ")
        parts.append(f"\n## {title}\n\n{about[0].upper()}{about[1:]}\n")
        parts.append(f"\n```yaml\n{_EXAMPLES[kind]}```\n")
        parts.append("\n| Field | What it is | Default |\n|---|---|---|\n")
        parts += _rows(schema, "")
        reasons: dict[str, list[str]] = {}
        for at, reason in _decided(schema, ""):
            reasons.setdefault(reason, []).append(f"`{at}`")
        if reasons:
            parts.append("\nDecided by plexctl, and refused here:\n\n")
            parts += [f"- {', '.join(fields)}: {why}\n" for why, fields in reasons.items()]
    return "".join(parts)


def _rows(schema: Schema, path: str) -> Iterator[str]:
    """A row of each field of `schema`, and of what is in it."""
    for name, field in _fields(schema):
        if "description" not in field or "not" in field:
            continue
        at = f"{path}.{name}".lstrip(".")
        default = f"`{field['default']}`" if "default" in field else ""
        if name in schema.get("required", ()):
            default = "needed"
        yield f"| `{at}` | {_about(field)} | {_yaml(default)} |\n"
        yield from _rows(field, at)
        if "items" in field:
            yield from _rows(field["items"], f"{at}[]")
    if isinstance(entries := schema.get("additionalProperties"), dict):
        yield from _rows(entries, f"{path}.NAME".lstrip("."))


def _about(field: Schema) -> str:
    """What a field is, and its values where there are only some."""
    about, values = str(field["description"]), [f"`{value}`" for value in field.get("enum", ())]
    if all(value in about for value in values):
        return about
    return f"{about} One of {', '.join(values)}."


def _decided(schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    """Each field that may not be given, and why."""
    for name, field in _fields(schema):
        at = f"{path}.{name}".lstrip(".")
        if "not" in field:
            yield at, field["description"].removeprefix(OWNED).rstrip(".")
        else:
            yield from _decided(field, at)
            yield from _decided(field.get("items", {}), f"{at}[]")


def _fields(schema: Schema) -> Iterator[tuple[str, Schema]]:
    yield from schema.get("properties", {}).items()


def _yaml(default: str) -> str:
    return default.replace("True", "true").replace("False", "false")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, content in schema_files().items():
        (FOLDER / name).write_bytes(content)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
