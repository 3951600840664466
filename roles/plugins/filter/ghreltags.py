"""Ansible filter: the latest release tag of repositories on GitHub."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = """
name: ghreltags
short_description: the latest release tag of repositories
description:
  - For an answer of the API with tags (a list of objects with C(name)) or releases (C(tag_name)),
    the tag with the highest version. A release is higher than its release candidates.
  - For C(OWNER/REPOSITORY), the same; the API is called at most once in O(max_age) seconds.
  - For a mapping, each repository of O(owner) with its tag. A value that is a tag, with a digit in
    it, selects that tag. Any other value is the prefix of the tags, and an empty value stands for
    O(prefix).
positional: owner, prefix, cache_key, token
options:
  _input: {type: raw, required: true, description: "An answer, OWNER/REPOSITORY, or a mapping."}
  owner: {type: str, description: The owner of the repositories of a mapping.}
  prefix: {type: str, default: "", description: The prefix of the tags.}
  cache_key: {type: str, description: "Answers with the same key are reused, however old."}
  token: {type: str, description: "A token of the API, which allows more requests an hour."}
  max_age: {type: float, default: 3600, description: Seconds for which an answer is reused.}
  timeout: {type: float, default: 10, description: Seconds that each request may take.}
  url: {type: str, default: "https://api.github.com", description: The URL of the API.}
"""

EXAMPLES = """
tag: "{{ (lookup('url', address) | from_json) | ghreltags }}"
same: "{{ 'cilium/cilium' | ghreltags(prefix='v1.17') }}"
tags: "{{ {'cilium': 'v1.17', 'hubble': ''} | ghreltags('cilium', 'v') }}"
"""

RETURN = """
_value: {type: raw, description: "A tag, or the mapping with tags for values."}
"""

PAGES = 10
"""Of 100 tags each, the newest first. No more pages are requested."""

MOST = 4 << 20
"""Bytes of a page."""


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"ghreltags": ghreltags}


def ghreltags(
    value: Any,
    owner: str | None = None,
    prefix: str = "",
    cache_key: str | None = None,
    token: str | None = None,
    max_age: float = 3600,
    timeout: float = 10,
    url: str = "https://api.github.com",
) -> Any:
    def tags(repository: str) -> list[str]:
        return _cached_tags(url, repository, cache_key, token, max_age, timeout)

    if isinstance(value, str):
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", value):
            raise AnsibleFilterError(f"ghreltags: {value!r} is not OWNER/REPOSITORY")
        return latest(tags(value), prefix, value)
    if isinstance(value, dict) and not {"tag_name", "name"} & set(value):
        if not owner:
            raise AnsibleFilterError("ghreltags: a mapping needs the argument owner")
        return {
            name: latest(tags(f"{owner}/{name}"), peg or prefix, f"{owner}/{name}")
            for name, peg in value.items()
        }
    return latest(_names([value] if isinstance(value, dict) else value), prefix, "the answer")


def latest(tags: list[str], peg: str, what: str) -> str:
    """The highest of the tags with the prefix `peg`, or the tag `peg` itself."""
    exact = any(letter.isdigit() for letter in peg) and peg in tags
    fitting = [peg] if exact else [tag for tag in tags if tag.startswith(peg)]
    if not fitting:
        raise AnsibleFilterError(f"ghreltags: {what} has no tag that begins with {peg!r}")
    return max(fitting, key=version)


def version(tag: str) -> tuple[Any, ...]:
    """The sort key of a tag: 1.10 is higher than 1.9, and 1.9 higher than 1.9-rc1."""
    found = re.search(r"\d+(?:[._]\d+)*", tag)
    if not found:
        return ((), False, (), tag)
    numbers = tuple(int(part) for part in re.split("[._]", found[0]))
    rest = tag[found.end() :]
    words = tuple(
        (part.isdigit(), int(part) if part.isdigit() else 0, part)
        for part in re.findall(r"\d+|[A-Za-z]+", rest)
    )
    return (numbers, not words, words, tag)


def _names(answer: Any) -> list[str]:
    try:
        names = [one.get("tag_name") or one["name"] for one in answer]
        return [str(name) for name in names]
    except (AttributeError, KeyError, TypeError) as error:
        raise AnsibleFilterError("ghreltags: not a list of tags or releases") from error


def _cached_tags(
    url: str, repository: str, key: str | None, token: str | None, max_age: float, timeout: float
) -> list[str]:
    """The tags of a repository, from the cached answer if that is still valid."""
    digest = hashlib.sha256(f"{url}\n{repository}".encode()).hexdigest()[:32]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = base / "plexctl" / "ghreltags" / f"{digest}.json"
    try:
        kept = json.loads(file.read_text())
        good = kept["key"] == key if key else 0 <= time.time() - kept["at"] < max_age
        if good:
            return [str(tag) for tag in kept["tags"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none, or it cannot be used
    tags = _request(f"{url}/repos/{repository}/tags?per_page=100", token, timeout)
    with suppress(OSError):  # the next call requests it again
        _keep(file, {"at": time.time(), "key": key, "tags": tags})
    return tags


def _request(address: str, token: str | None, timeout: float) -> list[str]:
    tags = []
    for page in range(1, PAGES + 1):
        request = urllib.request.Request(f"{address}&page={page}")  # noqa: S310
        request.add_header("Accept", "application/vnd.github+json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
                some = _names(json.loads(answer.read(MOST)))
        except (OSError, ValueError, urllib.error.URLError) as error:
            raise AnsibleFilterError(f"ghreltags: {address}: {error}") from error
        tags += some
        if len(some) < 100:
            break
    return tags


def _keep(file: Path, content: dict[str, Any]) -> None:
    """Replace the file atomically: other processes may read it at the same time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
        new.write(json.dumps(content))
    Path(new.name).replace(file)
