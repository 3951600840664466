"""Delete baked images that nothing uses."""

from __future__ import annotations

from plexctl.bake.cleanup import PROPERTY
from plexctl.model.host import Host
from plexctl.model.observed import HostState, ObservedImage


def unused(state: HostState, used: set[str]) -> tuple[ObservedImage, ...]:
    """Images that plexctl baked, that no instance of the host uses, and that are not in `used`.

    An image without a name belongs to a bake that is under way, or is deleted by the next one.
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
    """Delete unused images; returns their names. `used` are names of images that plexes need."""
    state = host.read()
    gone = unused(state, used)
    for image in gone:
        for name in set(image.names) & set(state.volumes):
            host.delete_volume(name)
        host.delete_image(image.fingerprint)
    return tuple(image.names[0] for image in gone)
