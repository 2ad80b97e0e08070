#!/bin/sh
# The team's unit tests of the logic.
cd "$(dirname "$0")" && PYTHONPATH=../app exec "${PYTHON:-python3}" -m pytest -q -p no:cacheprovider --rootdir . .
