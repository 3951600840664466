"""Scripts that delete keys, logs and caches from an instance before it becomes an image."""

_FILES = """\
set -eu
cd /
rm -rf root/.ansible root/.bash_history root/.cache root/.python_history
rm -f etc/ssh/ssh_host_* etc/hostname etc/hosts etc/resolv.conf
rm -f var/lib/dbus/machine-id var/lib/systemd/random-seed var/lib/systemd/credential.secret
: > etc/machine-id
rm -rf var/cache/apt/* var/cache/debconf/*-old var/cache/ldconfig/* var/lib/apt/lists/*
find var/log -type f -delete
"""

# What cloud-init wrote for the machine that the image was baked in. Its services are running;
# their files in /run are in no image anyway.
_CLOUD_INIT = """\
cloud-init clean --logs --seed
rm -f etc/netplan/50-cloud-init.yaml etc/network/interfaces.d/50-cloud-init*
rm -f etc/systemd/network/*cloud-init* etc/udev/rules.d/70-persistent-net.rules
rm -f etc/cloud/cloud.cfg.d/90-installer-network.cfg
sync
"""

CLEAN = _FILES + "find run tmp var/tmp -mindepth 1 -xdev -delete\n"
"""For a container, run as root; the text is part of every layer's digest."""

VM_CLEAN = _FILES + _CLOUD_INIT
"""The same for a VM, whose system is running."""
