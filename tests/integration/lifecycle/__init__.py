"""A package, as pytest ends what its stories share once they are told, and the plex with it."""
