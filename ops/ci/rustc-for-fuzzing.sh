#!/usr/bin/env bash
# The compiler as cargo calls it for the crates of this workspace while a fuzz target is built: they get the counters that
# libFuzzer looks at, and every assertion. Libraries are not compiled by this, so that they are shared with other builds,
# and the fuzzer does not chase branches that are not ours.
set -euo pipefail

exec "$@" --cfg fuzzing -Cdebug-assertions=on -Coverflow-checks=on -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
