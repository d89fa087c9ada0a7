#!/usr/bin/env bash
# Runs every test of the workspace. Documentation examples are tests too, and nextest does not run them: they go
# first, so that the last lines are the summary of the whole.
set -euo pipefail

cargo test --workspace --locked --doc --quiet
exec cargo nextest run --workspace --locked --no-fail-fast
