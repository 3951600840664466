"""The source `gobuild`: programs built from pinned Go modules, and images made of them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from plexctl.depot import golang
from plexctl.depot.components import Component, ImagePin, SourceName
from plexctl.depot.images import RECIPES, make_image
from plexctl.depot.sources import Answers, NewArtifact, Offer, Refusal
from plexctl.errors import PlexError
from plexctl.model.events import Outcome, Reporter

MEMORY_PER_BUILD = 3 << 30
"""Bytes of memory that linking the largest programs takes."""


class GoBuildSource:
    """Builds the modules of all wanted components, `builds_at_once` at a time."""

    name = SourceName.GOBUILD

    def serve(self, wanted: Sequence[Component], work: Path, reporter: Reporter) -> Answers:
        able = []
        for component in wanted:
            try:
                _require(component)
                able.append(component)
            except PlexError as error:
                yield _refusal(component, error)
        modules = {name: module for one in able for name, module in one.modules.items()}
        at_once = min(builds_at_once(), len(modules)) or 1
        share = golang.cores() / at_once
        stop = threading.Event()
        with ThreadPoolExecutor(at_once) as pool:
            # The longest build first: it determines when all are done.
            builds = {
                name: pool.submit(
                    golang.Builder(name, module, work / name, reporter, stop.is_set, share).build,
                    sorted({program for one in able for program in _programs(one, name)}),
                )
                for name, module in sorted(modules.items(), key=lambda it: -it[1].core_seconds)
            }
            try:
                for component in able:
                    yield _answer(component, builds, work, reporter)
            finally:
                stop.set()


def builds_at_once() -> int:
    """The number of modules to build at the same time on this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(golang.cores(), memory // MEMORY_PER_BUILD))


def _programs(component: Component, module: str) -> tuple[str, ...]:
    """The programs of `module` that `component` contains."""
    if component.gobuild:
        return component.gobuild.programs if component.gobuild.module == module else ()
    own = (name for name, image in _buildable(component).items() if image.module == module)
    return tuple(program for name in own for program in RECIPES[name].programs)


def _buildable(component: Component) -> dict[str, ImagePin]:
    return {name: image for name, image in component.images.items() if image.module}


def _require(component: Component) -> None:
    for name, module in component.modules.items():
        programs = _programs(component, name)
        golang.require(module, any(program in module.c_programs for program in programs))
    packages = {package for name in _buildable(component) for package in RECIPES[name].packages}
    for tool in ("apt-get", "dpkg-deb") if packages else ():
        if shutil.which(tool) is None:
            raise PlexError(
                f"{tool} is not installed; images need these packages from it: "
                f"{', '.join(sorted(packages))}"
            )


def _refusal(component: Component, error: PlexError) -> Refusal:
    return Refusal(component, error.summary, error.details, error.hint)


def _answer(
    component: Component,
    builds: Mapping[str, Future[dict[str, Path]]],
    work: Path,
    reporter: Reporter,
) -> Offer | Refusal:
    try:
        built = {name: builds[name].result() for name in component.modules}
        if component.images:
            # A module may have the same name as the component, and so the same folder.
            return _images(component, built, work / f"{component.name}.images", reporter)
    except PlexError as error:
        return _refusal(component, error)
    pin = component.gobuild
    assert pin is not None
    artifacts = (
        NewArtifact(name, pin.version, built[pin.module][name], 0o755) for name in pin.programs
    )
    notes: tuple[str, ...] = ()
    if component.release and component.release.version != pin.version:
        notes = (f"the official release is {component.release.version}",)
    return Offer(component, pin.version, tuple(artifacts), notes=notes)


def _images(
    component: Component,
    built: Mapping[str, Mapping[str, Path]],
    work: Path,
    reporter: Reporter,
) -> Offer:
    work.mkdir()
    artifacts, notes = [], []
    images = _buildable(component)
    with reporter.step(f"build the container images of {component.name}") as step:
        for done, (name, image) in enumerate(images.items()):
            step.progress(image.reference, done / len(images))
            programs = built[image.module]
            target = work / f"{name}.tar"
            make_image(name, image.reference, component.architecture, programs, target, work)
            artifacts.append(NewArtifact(target.name, image.tag, target, 0o644))
            held = _held(component, name)
            if held != image.tag.removeprefix("v"):
                notes.append(f"{image.reference} contains {name} {held}")
        step.end(Outcome.CHANGED, f"{len(artifacts)} images")
    for name, pin in component.files.items():
        if pin.module:
            file = work / name
            file.write_bytes(
                golang.module_yaml(component.modules[pin.module], pin, work / "module")
            )
            artifacts.append(NewArtifact(name, component.modules[pin.module].version, file, 0o644))
    if component.unbuildable:
        notes.append(f"without {', '.join(component.unbuildable)}: no Go module contains them")
    return Offer(component, component.versions[0], tuple(artifacts), notes=tuple(notes))


def _held(component: Component, image: str) -> str:
    """The version of the program in a built image, which has the name of upstream's image."""
    if not RECIPES[image].programs:
        return f"from {' and '.join(RECIPES[image].packages)} of this machine's Debian"
    module = component.modules[component.images[image].module]
    program = module.c_programs.get(image)
    return program.version if program else module.version
