# What every script shares: where things are, and how to speak. Sourced, never run.
# shellcheck shell=bash disable=SC2034
# Nothing here installs anything; `script/setup` does.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${HUBQUEUE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hubqueue}
VENV=$ROOT/.venv
VENV314=$ROOT/.venv314
export HUBQUEUE_CACHE=$CACHE
unset PYTHONDONTWRITEBYTECODE # hundreds of processes are started, each would compile everything again
cd "$ROOT"

say() { printf '==> %s\n' "$*" >&2; }

# fail MESSAGE [HINT]: says what went wrong and what to do, and ends the script.
fail() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf '       %s\n' "$2" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# usage: the comment block at the top of the calling script is its help text.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

