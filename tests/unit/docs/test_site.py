"""The site needs nothing from elsewhere, and links to files of the checkout lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown import Markdown

ROOT = Path(__file__).parents[3]
REPOSITORY = re.compile(r"https://github\.com/plexctl/plexctl/(?:blob|tree)/main/([^)\s\"#]+)")
BESIDE = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md"),
    *("apps/README.md", "terraform/modules/incus-plex/README.md"),
    "terraform/modules/proxmox-plex/README.md",
)
PAGES = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_built_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"<(?:script|img|iframe|source|video)[^>]*\bsrc=\"?(?:https?:)?//|"
        r"<link[^>]*\brel=\"?(?:stylesheet|preconnect|preload|icon)[^>]*https?://"
    )
    pages = list(site.rglob("*.html"))
    assert len(pages) >= len(PAGES)
    for page in pages:
        assert not loaded.search(page.read_text()), page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?https?://", style.read_text()), style.name
    for picture in site.rglob("*.svg"):
        assert "@font-face" not in picture.read_text(), picture.name


@pytest.mark.parametrize("page", [*PAGES, *BESIDE])
def test_links_to_files_of_the_repository_lead_to_files(page: str) -> None:
    for path in REPOSITORY.findall((ROOT / page).read_text()):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", BESIDE)
def test_links_of_files_beside_the_docs_lead_somewhere(page: str) -> None:
    file = ROOT / page
    prose = re.sub(r"^```.*?^```|`[^`\n]+`", "", file.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("folder", ["tutorial", "how-to", "reference", "explanation"])
def test_an_index_links_to_every_page_of_its_folder(folder: str) -> None:
    index = ROOT / "docs" / folder / "index.md"
    linked = set(re.findall(r"\]\(([\w.-]+\.md)", index.read_text()))
    assert {page.name for page in index.parent.glob("*.md")} - {"index.md"} <= linked


def anchors(page: Path) -> set[str]:
    """The anchors of a page, as mkdocs and GitHub build them."""
    markdown = Markdown(extensions=["toc", "attr_list", "fenced_code"])
    return set(re.findall(r'id="([^"]+)"', markdown.convert(page.read_text())))
