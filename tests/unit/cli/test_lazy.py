"""Modules that are executed when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plexctl.cli import lazy
from plexctl.errors import Interrupted

PACKAGE = "package_of_lazy_modules"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package whose modules are lazy within `lazy_imports`."""
    monkeypatch.setattr(lazy, "LAZY", (f"{PACKAGE}.",))
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").touch()
    yield folder
    for name in [one for one in sys.modules if one.startswith(PACKAGE)]:
        del sys.modules[name]


def test_a_module_is_executed_when_it_is_first_used(package: Path) -> None:
    (package / "late.py").write_text("import sys\nsys.executed = True\ndef value(): return 7\n")
    try:
        with lazy.lazy_imports():
            late = importlib.import_module(f"{PACKAGE}.late")
        assert not hasattr(sys, "executed")
        assert late.value() == 7
        assert hasattr(sys, "executed")
        assert importlib.import_module(f"{PACKAGE}.late") is late
    finally:
        vars(sys).pop("executed", None)


def test_a_signal_during_its_execution_is_not_lost(package: Path) -> None:
    """`import` drops what is raised when it reads `__spec__`."""
    (package / "late.py").write_text(
        "from plexctl.errors import Interrupted\nraise Interrupted(2)\ndef value(): return 7\n"
    )
    (package / "user.py").write_text(f"from {PACKAGE}.late import value\n")
    with lazy.lazy_imports():
        importlib.import_module(f"{PACKAGE}.late")
    with pytest.raises(Interrupted):
        importlib.import_module(f"{PACKAGE}.user")
