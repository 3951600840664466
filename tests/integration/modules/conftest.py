"""The pinned OpenTofu, the real Incus with two tiny images, and a root that is ready."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ...provider.incus.client import Server
from ...provider.tiny import remove_image, tiny_image
from ...provider.tofu import Tofu, root, stored_tofu
from ..support import LOCAL
from .plex import IMAGES, SECRET, clean


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_tofu(tmp_path_factory.mktemp("tofu"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The local Incus with two images that differ in nothing but their names."""
    server = Server("local", f"unix://{LOCAL.address}", Path())
    clean(server)
    for image in IMAGES:
        tiny_image(server, image, tmp_path_factory.mktemp("image"))
    yield server
    clean(server)
    for image in IMAGES:
        remove_image(server, image)


@pytest.fixture
def tofu(program: Path, server: Server, tmp_path: Path) -> Iterator[Tofu]:
    """A root that is ready; whatever is left of it is removed."""
    tofu = root(program, tmp_path)
    (tmp_path / "boot.tar").write_text(SECRET)
    tofu.run("init")
    yield tofu
    clean(server)
