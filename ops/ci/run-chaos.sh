#!/usr/bin/env bash
# Breaks meshes of real daemons and writes every report to target/chaos/processes.json.
# Short form (run-chaos.sh short): each mix, lie and disk fault about once, and power cuts of whole meshes, in about
# eight minutes.
# The form `mixes` takes each mix for a minute on a mesh of its own; the long form does, too, and then every other fault for
# five minutes.
# Needs root for most faults; what this machine cannot do is in the reports.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target="${CARGO_TARGET_DIR:-$here/../../target}"
althing="${ALTHING:-$target/release/althing}"
out="$here/../../target/chaos"
form="${1:-long}"
seed="${SEED:-1}"

run() {
    number=$((number + 1))
    local name
    name=$(printf 'run-%02d-%s' "$number" "$1")
    echo "== $*"
    # Exit code 4: this machine cannot do it, which the list says.
    "$althing" chaos run "$@" --seed $((seed + number - 1)) -o json --report "$out/$name.html" \
        >"$out/$name.json" 2> >(tee "$out/$name.log" >&2) || {
        code=$?
        if [ "$code" -eq 4 ]; then rm -f "$out/$name.json"; else failed+=("$name"); fi
    }
}

form_short() {
    run mix --minutes 3
    run byzantine --minutes 1
    run disk --minutes 0.7
    run disk --only power-cut-all --minutes 2
}

form_mixes() {
    for mix in $("$althing" -q -o name chaos list | grep -F +); do run mix --only "$mix" --minutes 1; done
}

form_long() {
    form_mixes
    for fault in partition kill pause clock disk byzantine; do run "$fault" --minutes 5; done
}

# Asked before the reports of the last run are removed.
declare -F "form_$form" >/dev/null || {
    echo "run-chaos.sh: no form is called $form; there are short, mixes and long" >&2
    exit 2
}
mkdir -p "$out"
rm -f "$out"/run-*.json "$out"/run-*.html "$out"/run-*.log
failed=()
number=0

"form_$form"

{
    echo '{"runs":['
    first=1
    for report in "$out"/run-*.json; do
        [ -s "$report" ] || continue
        [ "$first" -eq 1 ] || echo ','
        first=0
        cat "$report"
    done
    echo ']}'
} >"$out/processes.json"
echo "reports: $out/processes.json and $out/run-*.html"
# Last, where a log that was cut short still shows it: how each run ended that did not end well.
for name in "${failed[@]}"; do
    echo "== $name failed:"
    tail -n 1 "$out/$name.log"
done
[ "${#failed[@]}" -eq 0 ]
