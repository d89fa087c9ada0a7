#!/usr/bin/env bash
# Fuzzes every target for FUZZ_SECONDS (60), those named, or as many as `--turn N` says, whose turn comes with each commit;
# all from the kept corpus. All of them together write target/chaos/fuzz.json, some fuzz-some.json.
# What is found new stays under target/fuzz and is not added to the corpus; an input that breaks something is kept there too.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
seconds=${FUZZ_SECONDS:-60}
built=${CARGO_TARGET_DIR:-target}
mapfile -t all < <(basename -s .rs fuzz/fuzz_targets/*.rs)
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=("${all[@]}")
if [ "${1:-}" = --turn ]; then
    turn=$(git rev-list --count HEAD 2>/dev/null || date +%j)
    targets=()
    for ((at = 0; at < ${2:?how many}; at++)); do
        targets+=("${all[(10#$turn * $2 + at) % ${#all[@]}]}")
    done
fi
figures=fuzz.json
[ "${#targets[@]}" -eq "${#all[@]}" ] || figures=fuzz-some.json
bins=()
for target in "${targets[@]}"; do bins+=(--bin "fuzz-${target//_/-}"); done
RUSTC_WORKSPACE_WRAPPER="$root/ops/ci/rustc-for-fuzzing.sh" \
    cargo build --release --locked --workspace --features althing-fuzz/fuzzing "${bins[@]}"

mkdir -p target/chaos target/fuzz
lines=()
failed=0
for target in "${targets[@]}"; do
    found="target/fuzz/$target"
    mkdir -p "$found"
    log="target/fuzz/$target.log"
    holds=true
    "$built/release/fuzz-${target//_/-}" "$found" "fuzz/corpus/$target" \
        -max_total_time="$seconds" -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/$target-" >"$log" 2>&1 || holds=false
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    # A fuzzer that sees no branch of ours would call everything sound. The smallest target has nine hundred counters, and
    # a target alone, whose crates have none, a few dozen.
    counters=$(sed -n 's/.*(\([0-9]*\) inline 8-bit counters).*/\1/p' "$log" | tail -1)
    [ "${counters:-0}" -ge 500 ] && [ "${edges:-0}" -gt 0 ] || holds=false
    printf '%-16s %12s runs %8s edges  %s\n' "$target" "${runs:-0}" "${edges:-0}" \
        "$([ "$holds" = true ] && echo holds || echo "FAILS, see $log")"
    [ "$holds" = true ] || failed=1
    lines+=("  {\"target\": \"$target\", \"runs\": ${runs:-0}, \"edges\": ${edges:-0}, \"holds\": $holds}")
done
{
    echo "{\"seconds_each\": $seconds, \"targets\": ["
    printf '%s\n' "${lines[@]}" | sed '$!s/$/,/'
    echo "]}"
} >"target/chaos/$figures"
exit "$failed"
