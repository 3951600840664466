"""The provider lxc/incus."""
