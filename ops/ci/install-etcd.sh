#!/usr/bin/env bash
# Makes sure that etcd, the peer of the benchmark, is there: Debian's package, whatever version the release carries.
# The package's own service is not started: the benchmark starts three members of its own on free ports.
set -euo pipefail

if command -v etcd >/dev/null; then exit 0; fi
if ! command -v apt-get >/dev/null; then
    echo "etcd is not installed, and this machine has no apt-get: install etcd and run 'make bench' again" >&2
    exit 1
fi
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo --non-interactive "$@"; fi
}
as_root apt-get update -qq
as_root env RUNLEVEL=1 apt-get install -qq -y --no-install-recommends etcd-server
