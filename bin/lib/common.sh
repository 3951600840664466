# What the scripts in bin/ share: messages, privileges, and the checkout's Python environment.
# Sourced by bash with $ROOT set to the checkout's real path.
# shellcheck shell=bash

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/plexctl
STAMP=$ROOT/.venv/.plexctl-lock # newer than uv.lock: in step; holds the path it was made for
UV_VERSION=0.13.8               # fetched only where the machine has no uv

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

# The comment at a script's head, from its second line on, is its help.
help() {
  sed -n '2,/^$/s/^#\( \|$\)//p' "$0"
  exit 0
}

as_root() {
  if ((EUID)); then sudo "$@"; else "$@"; fi
}

# Run a command quietly: its output goes to $LOG, and its last lines to the user if it fails.
logged() {
  local code=0
  printf '+ %s\n' "$*" >>"$LOG"
  "$@" >>"$LOG" 2>&1 </dev/null || code=$?
  ((code)) || return 0
  tail -n 12 "$LOG" | sed 's/^/  /' >&2
  die "\`${*#as_root }\` failed with code $code" "all of its output is in $LOG"
}

install_packages() {
  # A fresh machine may be busy with its own first updates: wait for them.
  logged as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}

# Prints the uv to use: the user's own, or the private one if it was made.
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

# A uv of our own, from PyPI and in a folder of its own.
make_uv() {
  logged python3 -m venv --clear "$CACHE/uv"
  logged "$CACHE/uv/bin/pip" --disable-pip-version-check install "uv==$UV_VERSION"
}

# Whether .venv is what uv.lock says; cheap enough to be asked at each start.
environment_fresh() {
  local made_for=
  [[ -x $ROOT/.venv/bin/python && -x $ROOT/.venv/bin/plexctl ]] &&
    [[ $STAMP -nt $ROOT/uv.lock && $STAMP -nt $ROOT/pyproject.toml ]] &&
    read -r made_for <"$STAMP" && [[ $made_for == "$ROOT" ]]
}

# The distribution's Python, unless it is too old: it is built with a profile. One that was compiled
# without, as by pyenv, takes an eighth more of a processor for each command.
systems_python() {
  local python=/usr/bin/python3
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$python"
}

# sync_environment UV [OPTION…]: bring .venv in step with uv.lock.
sync_environment() {
  local python
  local settings=("UV_PROJECT_ENVIRONMENT=$ROOT/.venv")
  # As pip and apt do; uv's own list lacks the authority of a company's proxy.
  [[ ! -e /etc/ssl/certs/ca-certificates.crt ]] || settings+=(UV_SYSTEM_CERTS=1)
  if [[ -z ${UV_PYTHON-} ]] && python=$(systems_python); then
    settings+=("UV_PYTHON=$python")
  fi
  logged env "${settings[@]}" "$1" sync --quiet --frozen --project "$ROOT" "${@:2}"
  echo "$ROOT" >"$STAMP"
}

# Become a program that may talk to Incus, also in a shell older than the user's membership.
exec_with_incus() {
  local words
  if ((EUID)) && [[ " $(id -nG) " != *" incus-admin "* ]]; then
    printf -v words '%q ' "$@"
    exec sg incus-admin "$words"
  fi
  exec "$@"
}
