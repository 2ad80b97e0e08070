#!/bin/sh
# The team's unit tests of the logic.
cd "$(dirname "$0")" && exec node --test
