#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
case "${1:-all}" in
  prepare) # no lock file: both packages are exact, and neither depends on anything that is not
    [[ -d node_modules ]] || npm install --no-package-lock --no-audit --no-fund --loglevel=error
    npm run --silent build
    ;;
  serve) exec python3 serve.py ;;
  reset) echo "all expenses are in the browser" ;;
  all) "$0" prepare && "$0" serve ;;
  *) echo "usage: $0 [prepare|serve|reset]" >&2; exit 2 ;;
esac
