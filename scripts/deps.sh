#!/bin/sh
# Installs the Debian packages that building and testing need, if any is missing: through apt-get, with sudo when not root.
# `deps.sh PACKAGE...` asks for further ones. Prints nothing when all is there. Exit status 2, with the line to run, when something is missing and cannot be installed.
set -eu
required="g++ cmake ninja-build pkg-config libopenblas-pthread-dev libicu-dev libgtest-dev libbenchmark-dev nlohmann-json3-dev
  libfmt-dev libcli11-dev libxxhash-dev libssl-dev zlib1g-dev libzstd-dev $*"
optional="libdnnl-dev"   # faster f32 matrix products on AVX-512 machines

if ! command -v dpkg-query >/dev/null; then
  echo "deps: no dpkg here: install by hand the equivalents of:" $required $optional >&2
  exit 0
fi
missing() {
  for package in "$@"; do
    case "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" in
      installed*) ;;  # once for each architecture
      *) printf '%s ' "$package" ;;
    esac
  done
}
need=$(missing $required); want=$(missing $optional)
[ -n "$need$want" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=sudo
  elif command -v sudo >/dev/null && [ -t 0 ]; then as_root=sudo
  elif [ -z "$need" ]; then
    echo "deps: no $want and no sudo; building without it: f32 matrix products go to OpenBLAS" >&2
    exit 0
  else
    echo "deps: these packages are missing and there is no sudo; have an administrator run:" >&2
    echo "  apt-get install --no-install-recommends $need$want" >&2
    exit 2
  fi
fi
echo "deps: installing with ${as_root:+$as_root }apt-get: $need$want"
export DEBIAN_FRONTEND=noninteractive
install() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
$as_root apt-get update -qq || echo "deps: apt-get update failed; trying with the lists there are" >&2
if [ -n "$need" ] && ! install $need; then
  echo "deps: apt-get could not install $need: run it by hand to see why" >&2
  exit 2
fi
[ -z "$want" ] || install $want ||
  echo "deps: no $want here; building without it: f32 matrix products go to OpenBLAS" >&2
