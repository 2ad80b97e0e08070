#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
case "${1:-all}" in
  prepare) echo "nothing to install" ;;
  serve) exec python3 -m sharebox ;;
  reset) rm -f -- "$HARNESS_DATA_DIR"/sharebox.db* ;;
  all) "$0" prepare && "$0" serve ;;
  *) echo "usage: $0 [prepare|serve|reset]" >&2; exit 2 ;;
esac
