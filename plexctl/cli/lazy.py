"""Modules that are executed when they are first used, not when they are imported.

`plexctl up --help` and completion need the signature of `up`, and nothing of what `up` calls: that
takes 0.3 s to import. Python 3.15 has a statement for this (PEP 810).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

LAZY = tuple(
    f"plexctl.{layer}."
    for layer in ("clients", "config", "depot", "provision", "render", "workflow")
)


class _Module(ModuleType):
    """A module that is executed when an attribute of it is first used.

    `importlib.util.LazyLoader` also executes it when `import` reads `__spec__`, and `import` drops
    whatever is raised then: a signal was lost, and left a module without its functions.
    """

    def __getattribute__(self, name: str) -> object:
        if name != "__spec__":
            self.__class__ = ModuleType  # type: ignore[assignment]
            assert self.__spec__ is not None
            assert self.__spec__.loader is not None
            self.__spec__.loader.exec_module(self)
        return ModuleType.__getattribute__(self, name)


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        module.__class__ = _Module


class _Finder:
    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name.startswith(LAZY) else None
        # A package must be executed at once: importing what is in it uses its attributes.
        if spec and spec.loader and spec.submodule_search_locations is None:
            spec.loader = _Loader(spec.loader)
        return spec


@contextmanager
def lazy_imports() -> Iterator[None]:
    """Within the block, `from plexctl.workflow.plex import verbs` executes nothing of `verbs`.

    `from plexctl.workflow.plex.verbs import up` does, since it uses the module. What a module
    imports when it is executed after the block is executed at once.
    """
    sys.meta_path.insert(0, _Finder)
    try:
        yield
    finally:
        sys.meta_path.remove(_Finder)
