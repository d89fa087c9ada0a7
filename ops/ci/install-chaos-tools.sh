#!/usr/bin/env bash
# Makes sure that what breaks a mesh of real daemons is there: Debian's packages, as root. Without root nothing is
# installed, and what cannot be done then is named by the runs themselves.
set -euo pipefail

[ "$(id -u)" -eq 0 ] || exit 0
# A command of each package, and the package; libfaketime has a library alone, and libFuzzer is compiled here.
wanted=(ip:iproute2 unshare:util-linux mount:mount mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs faketime:faketime strace:strace c++:g++)
missing=()
for entry in "${wanted[@]}"; do
    command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "these are not installed, and this machine has no apt-get: ${missing[*]}" >&2
    exit 1
fi
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}"
