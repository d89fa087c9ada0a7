#!/usr/bin/env bash
# Runs a command with the pinned tools for coverage and mutants first on its PATH, and installs them once:
# wheels checked by digest, and cargo-mutants, of which there is none, from source.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
list="$here/proof-tools.txt"
mutants=27.1.0
key=$(cat "$list" <(echo "$mutants") | sha256sum | cut -c1-16)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/althing"
mkdir -p "$cache" 2>/dev/null || cache="$here/../../target"
tools="$cache/proof-tools-$key"

if [ ! -x "$tools/bin/cargo-llvm-cov" ]; then
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --only-binary=:all: --require-hashes --requirement "$list" --target "$fresh"
    mkdir -p "$tools"
    cp -R "$fresh/." "$tools/"
    rm -rf "$fresh"
    trap - EXIT
fi
# Building it takes minutes, so only who asks for it waits.
if [[ "$*" == *mutants* ]] && [ ! -x "$tools/bin/cargo-mutants" ]; then
    cargo install --quiet --locked --root "$tools" "cargo-mutants@$mutants"
fi

export LLVM_COV="$tools/llvm/bin/llvm-cov" LLVM_PROFDATA="$tools/llvm/bin/llvm-profdata"
PATH="$tools/bin:$PATH" exec "$@"
