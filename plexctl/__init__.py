"""plexctl: real Kubernetes labs on Incus and Proxmox hosts, baked once and recreated in seconds."""

__version__ = "0.1.0"
