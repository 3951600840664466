# Shared by the scripts in bin/: messages, privileges, and the checkout's Python environment.
# Sourced by bash, with $ROOT set to the real path of the checkout.
# shellcheck shell=bash

export HOME=${HOME:-~}          # systemd units and CI may have none; ~ is that of the user database
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/plexctl
STAMP=$ROOT/.venv/.plexctl-lock # newer than uv.lock: up to date; contains the path of its checkout
UV_VERSION=0.13.8               # downloaded only if the machine has no uv

# die SUMMARY [HINT]
die() {
  printf 'error: %s\n' "$1" >&2
  [[ -z ${2-} ]] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

usage_error() {
  printf 'error: %s\nhint: see %s --help\n' "$1" "$0" >&2
  exit 2
}

# Prints the comment at the head of the script, from its second line on.
help() {
  sed -n '2,/^$/s/^#\( \|$\)//p' "$0"
  exit 0
}

as_root() {
  if ((EUID)); then sudo "$@"; else "$@"; fi
}

# Runs a command quietly: its output goes to $LOG, and the last lines to the user if it fails.
logged() {
  local code=0
  printf '+ %s\n' "$*" >>"$LOG"
  "$@" >>"$LOG" 2>&1 </dev/null || code=$?
  ((code)) || return 0
  tail -n 12 "$LOG" | sed 's/^/  /' >&2
  die "\`${*#as_root }\` failed with code $code" "the whole output is in $LOG"
}

install_packages() {
  # A fresh machine may still run its first updates: wait for them.
  logged as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}

# Prints the uv to use: the user's own, or the private one of install_uv.
find_uv() {
  local uv
  for uv in uv "$CACHE/uv/bin/uv"; do
    if "$uv" --version >/dev/null 2>&1; then
      echo "$uv"
      return
    fi
  done
  return 1
}

# Installs a private uv from PyPI into a folder of its own.
install_uv() {
  logged python3 -m venv --clear "$CACHE/uv"
  logged "$CACHE/uv/bin/pip" --disable-pip-version-check install "uv==$UV_VERSION"
}

# Whether .venv agrees with uv.lock; cheap enough for each start.
environment_fresh() {
  local checkout=
  [[ -x $ROOT/.venv/bin/python && -x $ROOT/.venv/bin/plexctl ]] &&
    [[ $STAMP -nt $ROOT/uv.lock && $STAMP -nt $ROOT/pyproject.toml ]] &&
    read -r checkout <"$STAMP" && [[ $checkout == "$ROOT" ]]
}

# The distribution's Python, unless it is too old. It is built with profile-guided optimization;
# without it, as with pyenv, each command takes an eighth more processor time.
system_python() {
  local python=/usr/bin/python3
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$python"
}

# sync_environment UV [OPTION…]: update .venv to uv.lock.
sync_environment() {
  local python
  local settings=("UV_PROJECT_ENVIRONMENT=$ROOT/.venv")
  # As pip and apt do; uv's own list lacks the certificate authority of a company's proxy.
  [[ ! -e /etc/ssl/certs/ca-certificates.crt ]] || settings+=(UV_SYSTEM_CERTS=1)
  if [[ -z ${UV_PYTHON-} ]] && python=$(system_python); then
    settings+=("UV_PYTHON=$python")
  fi
  logged env "${settings[@]}" "$1" sync --quiet --frozen --project "$ROOT" "${@:2}"
  echo "$ROOT" >"$STAMP"
}

# Becomes a program that may use Incus, even if this shell is older than the user's membership.
exec_with_incus() {
  local command
  if ((EUID)) && [[ " $(id -nG) " != *" incus-admin "* ]]; then
    printf -v command '%q ' "$@"
    exec sg incus-admin "$command"
  fi
  exec "$@"
}
