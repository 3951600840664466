"""Stories on real Incus run at the same time: no network of one overlaps with another's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

from plexctl.config.networks import default_networks, each

STORIES = Path(__file__).parents[2] / "integration"
WRITTEN = re.compile(r"\b(?:network|nodes|pods|services): (\d+\.\d+\.\d+\.\d+/\d+)")
NAMED = re.compile(
    r'(?<!"kubeadm", )"init", (?:"--gitops", )?"(\w+)"'
    r'|^(?:PLEX|MANY|ONE, TWO) = ("\w+"(?:, "\w+")*)$',
    re.MULTILINE,
)


def written() -> list[tuple[Path, IPv4Network]]:
    """The networks that stories write into files."""
    return [
        (file, IPv4Network(found))
        for file in sorted(STORIES.rglob("*.py"))
        for found in WRITTEN.findall(file.read_text())
    ]


def names() -> Iterator[tuple[Path, str]]:
    """The plexes of stories that leave it to plexctl which networks they get, by their names."""
    for file in sorted(STORIES.rglob("*.py")):
        text = file.read_text()
        if not WRITTEN.search(text):
            for plain, quoted in NAMED.findall(text):
                yield from ((file, name) for name in [plain, *re.findall(r"\w+", quoted)] if name)


def test_the_networks_of_stories_do_not_overlap() -> None:
    found = written()
    for name, file in {name: file for file, name in names()}.items():
        found += [(file, network) for network in each(default_networks(name)).values()]
    assert len(found) > 50
    clashes = [
        f"{a} of {one.name}, {b} of {other.name}"
        for (one, a), (other, b) in combinations(found, 2)
        if a.overlaps(b)
    ]
    assert clashes == []
