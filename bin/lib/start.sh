# Starts a command of plexctl from this checkout, with nothing activated. Sourced by the commands in
# bin/ as `source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib/start.sh"`.
# shellcheck shell=bash

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=bin/lib/common.sh
source "$ROOT/bin/lib/common.sh"

# start NAME [ARGUMENT…]: become the command of plexctl/commands. Makes or mends .venv first if need
# be. Nothing of it goes to standard output: it is the answer to a program.
start() {
  local uv
  if ! environment_fresh; then
    uv=$(find_uv) || die "uv is not installed, and plexctl's environment is made with it" \
      "run $ROOT/bin/quickstart, which brings it, or see https://docs.astral.sh/uv"
    echo "$1: bringing $ROOT/.venv in step with uv.lock" >&2
    mkdir -p "$CACHE"
    LOG=$CACHE/environment.log
    sync_environment "$uv" --no-dev --inexact # what the tests need may stay
  fi
  # Another project's Python settings are not ours, and a folder `plexctl` where the user is even
  # less (-P); without bytecode files a start takes far longer.
  unset PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
  exec "$ROOT/.venv/bin/python" -P -m "plexctl.commands.$1" "${@:2}"
}
