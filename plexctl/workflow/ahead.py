"""Hosts that are asked while what needs their answer is still being loaded and computed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from plexctl.model.observed import HostState
from plexctl.workflow.context import Context

Asked = Future[dict[str, HostState]]


@contextmanager
def asked(ctx: Context) -> Iterator[Asked]:
    """What the hosts have, soon. Only for what looks: what changes anything must own its plex."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        yield beside.submit(ctx.engine.read, ctx.hosts)
