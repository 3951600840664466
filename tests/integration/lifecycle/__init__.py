"""A package, so that pytest ends what its tests share, and the plex with it, after the last."""
