#!/usr/bin/env bash
# Runs the tests of the contracts and says which branches of the deciding code they take; writes
# target/chaos/coverage.json and the full report of LLVM under target/coverage/.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
mkdir -p target/chaos target/coverage
# Branches are counted by an option of the compiler that is not stable; names stay readable for older tools.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zcoverage-options=branch -Cllvm-args=-enable-name-compression=false"
cargo llvm-cov test --package althing-contracts --branch --json \
    --ignore-filename-regex '(/tests/|tests\.rs|testing\.rs|fixtures\.rs)' \
    --output-path target/coverage/contracts.json
exec python3 ops/ci/coverage.py target/coverage/contracts.json ops/ci/coverage-exceptions.toml target/chaos/coverage.json
