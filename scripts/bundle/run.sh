#!/bin/sh
# Everything that wants a GPU, on a machine that has one: the tests of the device, lossc check, compute-sanitizer, lossc bench. Needs an NVIDIA driver and
# the CUDA toolkit; brings its own Node. Raw results go to $OUT, else ./results; `--quick` tries it in minutes, and
# names choose steps: `sh run.sh bench`, `sh run.sh tests check sanitizer`.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
exec "$here/bin/node" "$here/scripts/bundle/run.mjs" "$@"
