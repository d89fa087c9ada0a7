#!/usr/bin/env bash
# Fuzzes every target for FUZZ_SECONDS (60), those named, or as many as `--turn N` says, whose turn comes with each commit;
# all from the kept corpus. Writes target/chaos/fuzz.json.
# What is found new stays under fuzz/target and is not added to the corpus; a crash is kept under fuzz/artifacts.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
seconds=${FUZZ_SECONDS:-60}
# The fuzzer needs flags of the compiler that are not stable; the toolchain is.
export RUSTC_BOOTSTRAP=1
mapfile -t all < <(cargo fuzz list)
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=("${all[@]}")
if [ "${1:-}" = --turn ]; then
    turn=$(git rev-list --count HEAD 2>/dev/null || date +%j)
    targets=()
    for ((at = 0; at < ${2:?how many}; at++)); do
        targets+=("${all[(10#$turn * $2 + at) % ${#all[@]}]}")
    done
fi
# All of them in one build, as far as they are wanted: cargo-fuzz takes one or every one.
if [ "${#targets[@]}" -eq "${#all[@]}" ]; then cargo fuzz build; else
    for target in "${targets[@]}"; do cargo fuzz build "$target"; done
fi

mkdir -p target/chaos
lines=()
failed=0
for target in "${targets[@]}"; do
    found="fuzz/target/found/$target"
    mkdir -p "$found" "fuzz/corpus/$target"
    log="fuzz/target/$target.log"
    holds=true
    cargo fuzz run "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 >"$log" 2>&1 || holds=false
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    printf '%-16s %12s runs %8s edges  %s\n' "$target" "${runs:-0}" "${edges:-0}" \
        "$([ "$holds" = true ] && echo holds || echo "FAILS, see $log")"
    [ "$holds" = true ] || failed=1
    lines+=("  {\"target\": \"$target\", \"runs\": ${runs:-0}, \"edges\": ${edges:-0}, \"holds\": $holds}")
done
{
    echo "{\"seconds_each\": $seconds, \"targets\": ["
    printf '%s\n' "${lines[@]}" | sed '$!s/$/,/'
    echo "]}"
} >target/chaos/fuzz.json
exit "$failed"
