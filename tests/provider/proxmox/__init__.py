"""The provider bpg/proxmox, for tests."""
