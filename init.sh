#!/usr/bin/env bash
# Everything a newcomer or a CI machine needs, one name each; without an argument it says what there is.
# Exit codes: 0 done, 1 lint or tests failed, 2 usage, 3 set-up; `demo` hands on those of `harness`.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
venv=$root/.venv
stamp=$venv/installed      # digest of what was asked for when the packages were last complete
unfinished=$venv/unfinished # there while packages are being put in, so that an interrupted set-up is seen

usage() {
  cat <<TEXT
Usage: ./init.sh COMMAND

  setup         virtual environment, packages, Chromium and bubblewrap; seconds when all is there
  demo [DIR]    set up, then build a small application with a recorded model (no key needed)
  test [ARG]... set up, then run the tests on all cores; arguments go to pytest (-n 0: in one process)
  lint          set up, then formatting, lint, types, spelling and the layout of imports
  bench [NAME]  set up, then the benchmarks in tests/bench, or one of them; verify and session name several
TEXT
}

main() {
  local command=${1:-help}
  [[ $# -eq 0 ]] || shift
  case $command in
    setup) setup && how_to_call ;;
    demo) setup && exec "$venv/bin/harness" demo "$@" ;;
    test) setup && cd -- "$root" && exec "$venv/bin/python" -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@" ;;
    lint) setup && lint ;;
    bench) setup && bench "$@" ;;
    help | -h | --help) usage ;;
    *) usage >&2 && fail 2 "There is no command '$command'." ;;
  esac
}

# --- set-up -----------------------------------------------------------------------------------------------------

setup() {
  local status=0
  (install) 9<"$root/init.sh" || status=$?
  [[ $status -eq 0 ]] || exit "$status"
}

install() { # in a subshell of its own, with this file open as 9 for the lock
  wait_for_turn || return
  install_programs || return
  if [[ -x $venv/bin/python && -f $stamp && ! -e $unfinished && $(<"$stamp") == "$(digest)" ]]; then
    return 0
  fi
  make_venv && install_packages && check_packages || return
  digest >"$stamp" && rm -f -- "$unfinished"
}

wait_for_turn() { # two set-ups of one checkout at the same time would break each other's files
  command -v flock >/dev/null || return 0
  flock --nonblock 9 && return 0
  say "Another set-up of this checkout is running; waiting for it."
  flock 9
}

digest() { # the root too: scripts of a virtual environment hold its absolute path
  { cat -- "$root"/{pyproject.toml,constraints.txt,overrides.txt} && printf '%s' "$root"; } | git hash-object --stdin
}

install_programs() {
  local missing=()
  have git || missing+=(git)
  if ! have_browser; then
    if is_ubuntu; then
      lacking "Ubuntu's Chromium is a snap, which cannot start inside the sandbox. Install Google Chrome's .deb package."
    else
      missing+=(chromium)
    fi
  fi
  have bwrap || missing+=(bubblewrap)
  [[ -x $venv/bin/python ]] || can_make_venv || missing+=(python3-venv)
  [[ ${#missing[@]} -gt 0 ]] || return 0
  local command="apt-get update && apt-get install --yes --no-install-recommends ${missing[*]}"
  if ! have apt-get; then
    lacking "Not found: ${missing[*]}. Install them with this system's package manager."
  elif [[ $EUID -ne 0 ]]; then
    lacking "Not found: ${missing[*]}. As root: $command"
  else
    export DEBIAN_FRONTEND=noninteractive
    step "Debian packages: read the lists" apt-get -o DPkg::Lock::Timeout=300 update &&
      step "Debian packages: ${missing[*]}" \
        apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "${missing[@]}"
  fi
}

lacking() { # a person may go on without: tests that need it are skipped, and `harness doctor` names it again
  [[ ${CI:-} != true ]] || fail 3 "$1"
  have git || fail 3 "$1"
  say "$1"
}

make_venv() {
  if [[ -x $venv/bin/python && ! -e $unfinished ]]; then
    touch -- "$unfinished"
    return
  fi
  local python
  python=$(find_python) || fail 3 "No Python 3.11 or newer on PATH. On Debian, as root: apt-get install python3"
  can_make_venv || fail 3 "$python cannot make virtual environments. On Debian, as root: apt-get install python3-venv"
  rm -rf -- "$venv" && mkdir -- "$venv" && touch -- "$unfinished" || return
  step "Virtual environment: $("$python" --version)" "$python" -m venv "$venv"
}

find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

can_make_venv() { # Debian ships Python without it
  local python
  python=$(find_python) && "$python" -c 'import ensurepip, venv' 2>/dev/null
}

install_packages() {
  local uv=("$venv/bin/python" -m uv pip install --python "$venv/bin/python")
  step "Package installer" "$venv/bin/python" -m pip install --quiet uv || return
  use_pip_settings
  local flags=(--constraints "$root/constraints.txt" --override "$root/overrides.txt" --compile-bytecode)
  if reaches_cpu_torch; then
    flags+=(--torch-backend cpu)
  fi
  step "Python packages (1.7 GB on the first machine)" "${uv[@]}" "${flags[@]}" --editable "$root[dev]" || return
  "$venv/bin/python" -m compileall -q "$root/harness" # where PYTHONDONTWRITEBYTECODE is set, each command would do it
}

use_pip_settings() { # uv does not read pip's, and a machine behind a mirror often has only those
  local settings index extra links cert
  settings=$("$venv/bin/python" -m pip config list)
  index=$(pip_setting index-url) extra=$(pip_setting extra-index-url)
  links=$(pip_setting find-links) cert=$(pip_setting cert)
  export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index} UV_INDEX=${UV_INDEX:-$extra}
  export UV_FIND_LINKS=${UV_FIND_LINKS:-${links// /,}} SSL_CERT_FILE=${SSL_CERT_FILE:-$cert}
  [[ -z $UV_INDEX ]] || export UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY:-unsafe-best-match} # as pip does
  local name
  for name in UV_DEFAULT_INDEX UV_INDEX UV_FIND_LINKS SSL_CERT_FILE; do
    [[ -n ${!name} ]] || unset "$name"
  done
}

pip_setting() { # the environment is listed first and wins; several values are separated by \n there
  sed -nE "s/^(:env:|global|install)\.$1='(.*)'\$/\2/p" <<<"$settings" | head -n 1 | sed 's/\\n/ /g; s/^ *//'
}

reaches_cpu_torch() { # its CUDA build is 2.6 GB more; uv knows where the other lies, if the network lets it
  [[ -z ${UV_FIND_LINKS:-} ]] || return 1
  local torch
  torch=$(grep '^torch==' "$root/constraints.txt")
  if UV_HTTP_RETRIES=0 UV_HTTP_TIMEOUT=15 "${uv[@]}" --dry-run --no-deps --torch-backend cpu "$torch" &>/dev/null; then
    return 0
  fi
  say "The CPU build of torch cannot be reached from here; the index's own build is taken (on Linux 2.6 GB more)."
  return 1
}

check_packages() { # the declared versions of pyppeteer and langgraph exclude each other: only importing them tells
  step "Check that the packages load" "$venv/bin/python" -W ignore -c \
    'import langgraph.graph, langchain_openai, milvus_lite, pymilvus, pyppeteer, harness'
}

how_to_call() {
  say "Ready. Call .venv/bin/harness --help, or first: source .venv/bin/activate"
  say "Next: ./init.sh demo"
}

# --- checks -----------------------------------------------------------------------------------------------------

lint() {
  cd -- "$root"
  local failed=0 bin=$venv/bin
  check "ruff format" "$bin/ruff" format --check
  check "ruff check" "$bin/ruff" check
  check "mypy" "$bin/mypy"
  check "typos" "$bin/typos"
  check "layout" "$bin/python" -m pytest -q tests/unit/test_layout.py
  return "$failed"
}

check() { # all of them are run, so that one look shows everything
  local name=$1
  shift
  say "$name"
  "$@" || failed=1
}

bench() {
  cd -- "$root"
  local name script names=("${1:-*}")
  [[ ${1:-} != verify ]] || names=(names mutants liars replay soak)
  [[ ${1:-} != session ]] || names=(turns checkpoints status resume sandbox prepare faults)
  for name in "${names[@]}"; do
    for script in tests/bench/bench_$name.py; do
      [[ -f $script ]] || fail 2 "There is no benchmark '$name' in tests/bench."
      say "$script"
      "$venv/bin/python" "$script"
    done
  done
}

# --- words ------------------------------------------------------------------------------------------------------

say() {
  if [[ -t 1 ]]; then printf '\033[1m%s\033[0m\n' "$1"; else printf '%s\n' "$1"; fi
}

fail() {
  printf '%s\n' "$2" >&2
  exit "$1"
}

have() { # any of these programs
  local name
  for name in "$@"; do
    ! command -v "$name" >/dev/null || return 0
  done
  return 1
}

have_browser() { # a snap, or Ubuntu's script that asks for one, shuts itself in and cannot start in the sandbox
  local name path
  for name in chromium chromium-browser google-chrome-stable google-chrome; do
    path=$(command -v "$name") || continue
    [[ $path != /snap/* && $(readlink -f -- "$path") != */snap ]] || continue
    head -c 4096 -- "$path" | grep --quiet --text /snap/bin/ || return 0
  done
  return 1
}

is_ubuntu() {
  grep --quiet --line-regexp --fixed-strings ID=ubuntu "${OS_RELEASE:-/etc/os-release}" 2>/dev/null
}

step() { # say what is done and how long it took; its output is shown only when it fails
  local what=$1 log started=$SECONDS
  shift
  log=$(mktemp)
  printf '%-56s' "$what"
  if "$@" >"$log" 2>&1; then
    printf '%4d s\n' $((SECONDS - started))
    rm -f -- "$log"
  else
    printf ' failed\n'
    tail -n 40 -- "$log" >&2
    rm -f -- "$log"
    fail 3 "This did not work: $*"
  fi
}

main "$@"
