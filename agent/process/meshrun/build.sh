#!/bin/sh
# Builds meshrun for every platform into DIR (default: bin/ beside this file), static and
# bit for bit the same wherever it is run: the compiler is pinned, no path gets in.
#   ./build.sh [DIR]
# MESHRUN_ZIG names a zig to use instead of the one from the package registry.
set -eu
ZIG_VERSION=0.13.0
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/bin}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cache=${MESHRUN_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/benchmesh-meshrun}

if [ -n "${MESHRUN_ZIG:-}" ]; then
  zig=$MESHRUN_ZIG
else
  venv=$cache/zig-$ZIG_VERSION
  if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m ziglang version >/dev/null 2>&1; then
    rm -rf "$venv"
    mkdir -p "$cache"
    python3 -m venv "$venv" >&2 && "$venv/bin/pip" install --quiet "ziglang==$ZIG_VERSION" >&2 || {
      echo "meshrun: no compiler: ziglang==$ZIG_VERSION could not be installed" >&2
      exit 3
    }
  fi
  zig="$venv/bin/python -m ziglang"
fi
[ "$($zig version)" = "$ZIG_VERSION" ] || { echo "meshrun: zig $ZIG_VERSION is needed" >&2; exit 3; }

cd "$here"
export ZIG_GLOBAL_CACHE_DIR="$cache/zig-cache" ZIG_LOCAL_CACHE_DIR="$cache/zig-cache" SOURCE_DATE_EPOCH=0
sources="affinity.c cgroup.c channel.c child.c exec.c host.c main.c options.c pidset.c record.c report.c spawner.c spool.c step.c text.c tree.c"
for pair in x64:x86_64 arm64:aarch64; do
  $zig cc -target "${pair#*:}-linux-musl" -std=gnu11 -Os -s -static -no-pie -g0 -fno-sanitize=all \
    -Wall -Wextra -Werror "-ffile-prefix-map=$here=." -Wl,--build-id=none \
    -o "$out/meshrun-linux-${pair%:*}" $sources
  chmod 755 "$out/meshrun-linux-${pair%:*}"
done
cd "$out" && sha256sum meshrun-linux-arm64 meshrun-linux-x64 >SHA256SUMS
