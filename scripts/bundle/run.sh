#!/bin/sh
# Everything that wants a GPU, on a machine that has one: lossc check, lossc bench, the tests of the device, compute-sanitizer. Needs an NVIDIA driver and
# the CUDA toolkit; brings its own Node. Raw results go to $OUT, else ./results; `--quick` tries it in minutes, `--seconds=300` ends what takes longer
# (600 otherwise), and names choose steps: `sh run.sh bench`, `sh run.sh tests check sanitizer`.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
exec "$here/bin/node" "$here/scripts/bundle/run.mjs" "$@"
