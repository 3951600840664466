# What a Debian or Ubuntu machine needs before it can run a plex, step by step.
# Each step is a pair: look_STEP prints what would be changed, or nothing, and needs no
# privileges; do_STEP changes it. Sourced after common.sh.
# shellcheck shell=bash disable=SC2034

SOCKET=/var/lib/incus/unix.socket
POOL=default # the default in clusters/hosts.yaml
POOL_GIB=60  # at most; sparse, so it takes only what is used
BACKPORTS=/etc/apt/sources.list.d/plexctl-backports.sources
SYSCTLS=/etc/sysctl.d/60-plexctl.conf

STEPS=(packages kernel incus access pool uv environment) # run by quickstart
# Such as debian-12 or ubuntu-24.04.
SYSTEM=$(
  # shellcheck source=/dev/null
  source /etc/os-release
  echo "$ID-${VERSION_ID-}"
)

# --- packages ---

NEEDED=(btrfs-progs nftables iproute2 dnsmasq-base # programs that Incus uses
  debootstrap gpgv debian-archive-keyring          # for the root of an image
  zstd openssh-client ca-certificates)
FOR_BUILDS=(gcc libc6-dev libseccomp-dev pkgconf)

look_packages() {
  local incus missing
  missing=$(missing_packages)
  if ! find_incusd >/dev/null; then
    incus="$(incus_package) lxcfs"
    ! needs_backports || incus+=" (from bookworm-backports, added in $BACKPORTS)"
    missing="$incus${missing:+, $missing}"
  fi
  [[ -z $missing ]] || echo "install $missing"
}

do_packages() {
  local missing incus backports=()
  read -ra missing < <(missing_packages)
  ! needs_backports || add_backports
  logged as_root apt-get -q -o DPkg::Lock::Timeout=300 update
  if ! find_incusd >/dev/null; then
    [[ $SYSTEM != debian-12 ]] || backports=(--target-release bookworm-backports)
    incus=$(incus_package)
    install_packages "${backports[@]}" "$incus" lxcfs
  fi
  ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}

# Prints the missing packages besides Incus, on one line.
missing_packages() {
  local wanted=("${NEEDED[@]}") installed package missing=()
  find_uv >/dev/null || wanted+=(python3-venv)
  installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ' \
    "${wanted[@]}" "${FOR_BUILDS[@]}" 2>/dev/null || true)"
  # Kubernetes is built from its Go modules where its releases cannot be downloaded.
  if command -v go >/dev/null && [[ $installed != *" libseccomp-dev=installed "* ]] &&
    ! timeout 3 bash -c '</dev/tcp/dl.k8s.io/443' 2>/dev/null; then
    wanted+=("${FOR_BUILDS[@]}")
  fi
  for package in "${wanted[@]}"; do
    [[ $installed == *" $package=installed "* ]] || missing+=("$package")
  done
  echo "${missing[*]}"
}

# The package of Incus' daemon; without QEMU where that is a package of its own.
incus_package() {
  case $SYSTEM in
    debian-12 | debian- | debian-1[3-9] | ubuntu-2[5-9].*) echo incus-base ;;
    ubuntu-24.*) echo incus ;;
    *)
      # Somebody may have added a repository with Incus.
      apt-cache policy incus 2>/dev/null | grep '^  Candidate: [^(]' >/dev/null ||
        die "Incus is not packaged for this system ($SYSTEM)" \
          "add the packages of https://github.com/zabbly/incus, then run this again"
      echo incus
      ;;
  esac
}

needs_backports() {
  [[ $SYSTEM == debian-12 ]] && ! find_incusd >/dev/null &&
    ! apt_sources | grep ' bookworm-backports$' >/dev/null
}

# With the mirror that this machine already uses.
add_backports() {
  local mirror
  mirror=$(apt_sources | awk '$2 == "bookworm" { print $1 }' | sort -u | head -n 1)
  as_root tee "$BACKPORTS" >/dev/null <<SOURCE
Types: deb
URIs: ${mirror:-http://deb.debian.org/debian}
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCE
}

# URI and suite of each configured package list, downloaded or not.
apt_sources() {
  # shellcheck disable=SC2016  # apt's own placeholders
  apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 2>/dev/null
}

# join SEPARATOR WORD…
join() {
  local separator=$1 text=${2-} word
  for word in "${@:3}"; do
    text+=$separator$word
  done
  echo "$text"
}

# --- kernel ---

# Minimum values: nodes share the host's kernel, and each needs its part.
LEAST=(
  fs.inotify.max_user_instances=8192 # systemd, containerd and kubelet of each node
  fs.inotify.max_user_watches=524288
  kernel.keys.maxkeys=20000 # one for each container of each pod
  kernel.keys.maxbytes=2000000
  net.ipv4.ip_forward=1
  net.ipv4.neigh.default.gc_thresh1=8192 # each node has each other one as a neighbour: N²
  net.ipv4.neigh.default.gc_thresh2=16384
  net.ipv4.neigh.default.gc_thresh3=32768
)

look_kernel() {
  local texts=() raised=() least name
  has_overlay || ! can_load_modules || texts+=("load the module overlay")
  for least in $(low_sysctls); do
    name=${least%=*}
    settable "$name" || continue # do_kernel cannot set it: see notes
    raised+=("$name $(<"$(sysctl_file "$name")") → ${least#*=}")
  done
  ((${#raised[@]} == 0)) || texts+=("raise $(join ', ' "${raised[@]}"), kept in $SYSCTLS")
  join '; ' "${texts[@]}"
}

do_kernel() {
  local least kept
  if ! has_overlay && can_load_modules; then
    logged as_root modprobe overlay
    echo overlay | as_root tee /etc/modules-load.d/plexctl.conf >/dev/null
  fi
  kept=$(cat "$SYSCTLS" 2>/dev/null || true)
  for least in $(low_sysctls); do
    if ! echo "${least#*=}" | as_root tee "$(sysctl_file "${least%=*}")" >/dev/null 2>&1; then
      echo "warning: ${least%=*} cannot be set here; many nodes need ${least#*=}" >&2
      continue
    fi
    [[ $kept == *"$least"* ]] || kept+=${kept:+$'\n'}$least
  done
  [[ -z $kept ]] || echo "$kept" | as_root tee "$SYSCTLS" >/dev/null
}

# Prints those of $LEAST that are lower now.
low_sysctls() {
  local least file
  for least in "${LEAST[@]}"; do
    file=$(sysctl_file "${least%=*}")
    [[ ! -r $file ]] || (($(<"$file") >= ${least#*=})) || echo "$least"
  done
}

sysctl_file() {
  echo "/proc/sys/${1//.//}"
}

# Root can check whether a container's /proc is writable; others can only try.
settable() {
  ((EUID)) || [[ -w $(sysctl_file "$1") ]]
}

has_overlay() {
  grep -qw overlay /proc/filesystems
}

can_load_modules() {
  [[ -d /lib/modules/$(uname -r) ]] && command -v modprobe >/dev/null
}

# --- Incus' daemon ---

look_incus() {
  incus_listens && return
  if [[ -d /run/systemd/system ]]; then
    echo "start Incus now and at each boot (systemd)"
  else
    echo "start Incus' daemon in the background (no systemd here: again after a reboot)"
  fi
}

do_incus() {
  if [[ -d /run/systemd/system ]]; then
    logged as_root systemctl enable --now incus.socket incus.service
  else
    logged as_root "$ROOT/roles/host/files/start-incus" # as `plexctl host prepare` does it
  fi
  logged as_root incus admin waitready --timeout 120
}

# A socket unit of systemd counts: the first call starts the daemon.
incus_listens() {
  grep -qs " $SOCKET\$" /proc/net/unix
}

find_incusd() {
  local file
  for file in /usr/libexec/incus/incusd /opt/incus/lib/systemd/incusd; do
    if [[ -x $file ]]; then
      echo "$file"
      return
    fi
  done
  return 1
}

# --- access without root ---

look_access() {
  ((EUID)) || return 0
  [[ " $(id -nG "$(id -un)") " == *" incus-admin "* ]] ||
    echo "add $(id -un) to the group incus-admin, which is equivalent to root on this machine"
}

do_access() {
  logged as_root usermod --append --groups incus-admin "$(id -un)"
}

# --- storage pool ---

look_pool() {
  local unless=
  if incus_listens; then
    incus_command storage show "$POOL" >/dev/null 2>&1 && return
    incus_command query /1.0 >/dev/null 2>&1 || unless=", unless it exists"
  elif [[ -e /var/lib/incus/database ]]; then
    unless=", unless it exists" # the daemon is down and cannot be asked
  fi
  echo "create the storage pool $POOL: btrfs in a sparse file of $(pool_gib) GiB below" \
    "/var/lib/incus$unless"
}

do_pool() {
  local gib
  gib=$(pool_gib)
  ((gib >= 6)) || die "too little space for a storage pool: 60 % of the free space are $gib GiB" \
    "free some space, or create the pool elsewhere: incus storage create $POOL btrfs source=/dev/…"
  if ! incus_command storage create "$POOL" btrfs size="${gib}GiB" >>"$LOG" 2>&1; then
    echo "warning: btrfs does not work here; the pool is a plain folder, and each node a full" \
      "copy of its image" >&2
    logged incus_command storage create "$POOL" dir
  fi
}

pool_gib() {
  local where=/var/lib/incus free
  [[ -d $where ]] || where=/var/lib
  free=$(df -Pk "$where" | awk 'NR == 2 { print int($4 * 0.6 / 1048576) }')
  echo $((free < POOL_GIB ? free : POOL_GIB))
}

# With sudo if this shell has no access, but only if sudo asks for no password.
incus_command() {
  if [[ -w $SOCKET ]]; then
    timeout 120 incus "$@" </dev/null
  else
    timeout 120 sudo -n incus "$@" </dev/null
  fi
}

# --- Python ---

look_uv() {
  find_uv >/dev/null || echo "install uv $UV_VERSION into $CACHE/uv"
}

do_uv() {
  install_uv
}

look_environment() {
  environment_fresh || echo "update $ROOT/.venv to uv.lock (0.4 GB)"
}

do_environment() {
  sync_environment "$(find_uv)" --no-dev --inexact
}

# --- what a user should know, and what is not changed ---

notes() {
  local least
  for least in $(low_sysctls); do
    settable "${least%=*}" || echo "${least%=*} cannot be raised here: fewer nodes will fit"
  done
  has_overlay || can_load_modules || echo "the kernel has no overlayfs: containerd will be slow"
  [[ ! -e /sys/class/net/docker0 ]] || echo "Docker drops packets that other bridges forward: if nodes" \
    "have no network, see https://linuxcontainers.org/incus/docs/main/howto/network_bridge_firewalld/"
}
