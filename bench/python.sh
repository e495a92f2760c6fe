#!/bin/sh
# python.sh PACKAGE...: prints a Python that has these packages: $PYTHON, or one in .venv, where they are put when they are missing.
set -eu
[ -z "${PYTHON:-}" ] || { echo "$PYTHON"; exit; }
python=.venv/bin/python
[ -x "$python" ] || python3 -m venv .venv
"$python" -m pip install -q "$@" >&2
echo "$python"
