"""What gives the pods of a plex their network: one module for each choice of `cni`.

`interface.Cni` is everything in which they differ.
"""
