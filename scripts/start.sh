#!/bin/sh
# From a fresh clone on Debian or Ubuntu with Node to a trained model: system packages, lossc, the example trainer.
# Options are the trainer's: see examples/README.md.
set -eu
cd "$(dirname "$0")/.."

node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit((a === 20 && b >= 19) || (a === 22 && b >= 12) || a > 22 ? 0 : 1)' 2>/dev/null || {
  echo "start: lossc needs Node 20.19, 22.12 or newer (found: $(node --version 2>/dev/null || echo none))" >&2
  exit 1
}

# cmake and a C++ compiler build the addon and the CPU kernels; OpenBLAS multiplies the example's matrices.
missing=""
command -v cmake >/dev/null || missing="$missing cmake"
command -v make >/dev/null || missing="$missing make"
command -v c++ >/dev/null || missing="$missing g++"
ldconfig -p 2>/dev/null | grep -q 'libopenblas\.so' || missing="$missing libopenblas0"
if [ -n "$missing" ]; then
  if command -v apt-get >/dev/null; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo"
    echo "start: installing$missing" >&2
    $sudo apt-get update -qq
    # shellcheck disable=SC2086 # a list of names
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
  else
    echo "start: please install with your system's package manager:$missing" >&2
    exit 1
  fi
fi

npm ci --no-audit --no-fund
npm run build
npm run train -- "$@"
