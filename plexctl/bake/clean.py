"""What is taken out of an instance before it becomes an image."""

CLEAN = """\
set -eu
cd /
rm -rf root/.ansible root/.bash_history root/.cache root/.python_history
rm -f etc/ssh/ssh_host_* etc/hostname etc/hosts etc/resolv.conf
rm -f var/lib/dbus/machine-id var/lib/systemd/random-seed var/lib/systemd/credential.secret
: > etc/machine-id
rm -rf var/cache/apt/* var/cache/debconf/*-old var/cache/ldconfig/* var/lib/apt/lists/*
find var/log -type f -delete
find run tmp var/tmp -mindepth 1 -xdev -delete
"""
"""A shell script that is run in the instance, as root; it is part of every layer's digest."""
