"""Removing baked images that nothing uses."""

from __future__ import annotations

from plexctl.bake.cleanup import PROPERTY
from plexctl.model.host import Host
from plexctl.model.observed import HostState, ObservedImage


def unused(state: HostState, used: set[str]) -> tuple[ObservedImage, ...]:
    """Images that plexctl baked, which no instance of the host has and which are not `used`.

    One without a name belongs to a bake that is under way, or is removed by the next one.
    """
    running = {instance.image for instance in state.instances.values()}
    return tuple(
        image
        for image in state.images
        if image.names
        and any(key.startswith(PROPERTY) for key in image.properties)
        and image.fingerprint not in running
        and not used & set(image.names)
    )


def prune(host: Host, used: set[str]) -> tuple[str, ...]:
    """Remove them; their names. `used` are names of images that a plex would need next."""
    state = host.read()
    gone = unused(state, used)
    for image in gone:
        for name in set(image.names) & set(state.volumes):
            host.delete_volume(name)
        host.delete_image(image.fingerprint)
    return tuple(image.names[0] for image in gone)
