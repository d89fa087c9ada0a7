#!/usr/bin/env bash
# Changes the deciding code in small ways and runs the tests that should notice; writes target/chaos/mutants.json.
# MUTANTS=short takes the files about quorum, count, timelock and budget only; MUTANTS_FILES names others.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
short=(contracts/src/certificate.rs contracts/src/tally/count.rs contracts/src/lifecycle/queue.rs
    contracts/src/rules/cost.rs)
whole=("${short[@]}" contracts/src/quantity.rs "contracts/src/lifecycle/*.rs" "contracts/src/rules/*.rs"
    "contracts/src/state/*.rs" "contracts/src/constitution/*.rs" contracts/src/ledger.rs
    actors/src/executor/state.rs "actors/src/executor/state/*.rs")
files=("${whole[@]}")
[ "${MUTANTS:-}" != short ] || files=("${short[@]}")
[ -z "${MUTANTS_FILES:-}" ] || read -ra files <<<"$MUTANTS_FILES"

arguments=()
for file in "${files[@]}"; do arguments+=(--file "$file"); done
mkdir -p target/chaos
# A mutant changes one crate, and that crate's own tests judge it: built anew in seconds, not minutes.
export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0
# A mutant that survives is a finding and not a failure of the run.
cargo mutants --workspace --no-shuffle --output target/mutants "${arguments[@]}" -- --lib || [ $? -eq 2 ]
exec python3 ops/ci/mutants.py target/mutants/mutants.out/outcomes.json target/chaos/mutants.json
