"""Whether the parts of a lab's pins.yaml fit each other, and the built-in pins around them.

The shapes are right already (check_pins.py). What does not fit would fail later: in a download or a
build, in a bake, or on a node that pulls what its image lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from plexctl.config.faults import did_you_mean
from plexctl.config.source import Where

PinFault = tuple[Where, str, str | None]
"""Where in the file, message, and hint."""

Sections = Mapping[str, Mapping[str, Any]]

CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
"""Images whose tag is the version of Kubernetes."""


def fit_faults(own: Sections, merged: Sections, arch: str) -> Iterator[PinFault]:
    """Faults of the entries of `own`. `merged` has the built-in pins too."""
    modules = merged["modules"]
    for name, fields in own.get("components", {}).items():
        yield from _entry(("components", name), fields, modules, arch)
    for version, fields in own.get("kubernetes", {}).items():
        yield from _entry(("kubernetes", version), fields, modules, arch)
        yield from _versions(version, fields, modules)


def lack_faults(own: Sections, builtin: Sections) -> Iterator[PinFault]:
    """Programs and images that nodes need, and that entries of `own` lack."""
    for name, fields in own.get("components", {}).items():
        yield from _lacking(("components", name), fields, builtin["components"].get(name, {}))
    newest = next(iter(builtin["kubernetes"].values()))
    for version, fields in own.get("kubernetes", {}).items():
        yield from _lacking(("kubernetes", version), fields, newest)
    for name in own.get("modules", {}):
        yield from _users(name, own, builtin)


def _lacking(
    where: Where, fields: Mapping[str, Any], model: Mapping[str, Any]
) -> Iterator[PinFault]:
    parts: tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Sequence[str]]], ...] = (
        (("gobuild", "programs"), lambda one: one.get("gobuild", {}).get("programs", ())),
        (("images",), lambda one: tuple(one.get("images", ()))),
        (("files",), lambda one: tuple(one.get("files", ()))),
    )
    for field, names in parts:
        if missing := [name for name in names(model) if name not in names(fields)]:
            yield (*where, *field), f"lacks {', '.join(missing)}, which plexctl needs", None


def _entry(
    where: Where, fields: Mapping[str, Any], modules: Mapping[str, Any], arch: str
) -> Iterator[PinFault]:
    """A component, or a version of Kubernetes, which has programs and images."""
    if gobuild := fields.get("gobuild"):
        yield from _module((*where, "gobuild"), gobuild["module"], modules)
        known = _programs(modules.get(gobuild["module"], {}))
        for place, program in enumerate(gobuild["programs"]):
            if known and program not in known:
                message = f"the module {gobuild['module']} has no program {program}"
                at = (*where, "gobuild", "programs", place)
                yield at, message, did_you_mean(program, known)
    if release := fields.get("release"):
        wanted = gobuild["programs"] if gobuild else ()
        yield from _release((*where, "release"), release, wanted, arch)
    for kind in ("images", "files"):
        for name, one in fields.get(kind, {}).items():
            at = (*where, kind, name)
            if module := one.get("module"):
                yield from _module(at, module, modules)
                if kind == "files" and not (one.get("source") and one.get("path")):
                    yield at, "a file of a module needs `source` and `path`", None


def _module(where: Where, name: str, modules: Mapping[str, Any]) -> Iterator[PinFault]:
    if name not in modules:
        hint = did_you_mean(name, modules) or "add it to `modules`"
        yield (*where, "module"), f"there is no module {name}", hint


def _programs(module: Mapping[str, Any]) -> set[str]:
    return {*module.get("programs", ()), *module.get("c_programs", ())}


def _release(
    where: Where, release: Mapping[str, Any], wanted: Sequence[str], arch: str
) -> Iterator[PinFault]:
    found: set[str] = set()
    for place, download in enumerate(release["downloads"]):
        at = (*where, "downloads", place)
        artifact, members = download.get("artifact"), download.get("members", {})
        if bool(artifact) == bool(members):
            yield at, "a download needs either `artifact` or `members`", None
        found |= {*members, *([artifact] if artifact else ())}
        sums = download.get("sha256", {})
        if sums and arch not in sums:
            message = f"has no checksum for {arch}, the architecture of this machine"
            yield (*at, "sha256"), message, f"add the checksum of the file for {arch}"
        if "{arch}" not in download["url"] and len(set(sums.values())) > 1:
            hint = "write {arch} where the URLs of the architectures differ"
            yield (*at, "url"), "one file cannot have the checksums of two architectures", hint
    if missing := [program for program in wanted if program not in found]:
        message = f"no download has {', '.join(missing)}, which `gobuild.programs` lists"
        yield (*where, "downloads"), message, None


def _versions(
    version: str, fields: Mapping[str, Any], modules: Mapping[str, Any]
) -> Iterator[PinFault]:
    """Kubernetes is of one version: its programs, its images, and the module that builds them."""
    where = ("kubernetes", version)
    for part in ("release", "gobuild"):
        if part in fields and fields[part]["version"] != version:
            message = f"the programs of Kubernetes {version} must have this version"
            yield (*where, part, "version"), message, f"write {version}"
    module = fields["gobuild"]["module"]
    if module in modules and modules[module]["version"] != version:
        message = f"the module {module} has version {modules[module]['version']}, not {version}"
        hint = "pin a module of this version below `modules`"
        yield (*where, "gobuild", "module"), message, hint
    for name in CONTROL_PLANE:
        image = fields["images"].get(name)
        if image and image["reference"].rpartition(":")[2] != f"v{version}":
            message = f"kubeadm {version} needs the tag v{version}"
            yield (*where, "images", name, "reference"), message, f"write :v{version}"


def _users(name: str, own: Sections, builtin: Sections) -> Iterator[PinFault]:
    """Built-in entries that need a program which an own module of the same name lacks."""
    known = _programs(own["modules"][name])
    for section in ("components", "kubernetes"):
        for user, fields in builtin[section].items():
            gobuild = fields.get("gobuild", {})
            if user in own.get(section, {}) or gobuild.get("module") != name:
                continue
            if missing := [one for one in gobuild["programs"] if one not in known]:
                at = ("modules", name, "programs")
                yield at, f"lacks {', '.join(missing)}, which {section}.{user} needs", None
