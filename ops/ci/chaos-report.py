"""Puts what the machines that break the mesh have measured beside its goals: reads target/chaos/*.json, writes report.json there.

A file is what its machine measured when it last ran, so each row says when that was; a machine without a file is "not measured"."""

import datetime
import json
import pathlib
import sys


def read(path):
    """One machine's figures, or None when it has not run."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def written(path):
    """When a file was written, in UTC to the second."""
    return datetime.datetime.fromtimestamp(int(path.stat().st_mtime), datetime.timezone.utc).isoformat()


def row(number, goal, measured, holds, source):
    return {"row": number, "goal": goal, "measured": measured, "holds": holds, "source": source}


def simulation(figures):
    source = "make simulate"
    equal = figures["run_twice_with_equal_traces"]
    kinds = len(figures["coverage"])
    yield row(1, "core simulation: 10,000 seeds in CI, 0 violations",
              f"{figures['seeds']} seeds, {figures['failed']} failed, {figures['seeds_a_minute']:.0f} a minute",
              figures["seeds"] >= 10_000 and figures["failed"] == 0, source)
    yield row(2, "5 % of the seeds twice with equal traces", f"{equal} of {figures['held']} twice, all equal",
              equal * 20 >= figures["held"] and figures["failed"] == 0, source)
    yield row(5, "core: heal to the next final block at most 5 s p95, 10 s max",
              f"p95 {figures['healed_ms_p95']} ms, max {figures['healed_ms_max']} ms",
              figures["healed_ms_p95"] <= 5_000 and figures["healed_ms_max"] <= 10_000, source)
    unknown = sum(times for what, times in figures["coverage"].items()
                  if what in ("calls lost before the effect", "replies lost after the effect", "half effects", "calls that came late"))
    yield row(8, "1,000 executions with a fault around a provider call, 0 duplicates", f"{unknown} faults around calls, {figures['failed']} seeds failed",
              unknown >= 1_000 and figures["failed"] == 0, source)
    lies = [times for what, times in figures["coverage"].items() if what.startswith("a validator ")]
    told = [times for times in lies if times > 0]
    yield row(9, "14 Byzantine behaviours", f"{len(told)} of {len(lies)} lies told, {sum(told)} times",
              len(told) >= 14 and figures["failed"] == 0, source)
    yield row(0, "everything that is drawn happens, every move of the lifecycle is made",
              f"{kinds} rows, never: {', '.join(figures['never_happened']) or 'none'}", not figures["never_happened"], source)


def disk_calls(figures):
    faults = ", ".join(figures["faults"])
    yield row(7, "every call to a disk of a proposal's life x {EIO, ENOSPC, kill, lie}: opens again, clean",
              f"{figures['calls']} of {figures['of']} calls, each with {faults}; all held",
              figures["calls"] == figures["of"] and len(figures["faults"]) >= 4, "make test, make long-tests")


def split_view(figures):
    yield row(11, "a split view is found in at most 2 rounds, 1,000 of 1,000",
              f"{figures['found_in_two']} of {figures['shown']}, {figures['found_in_one_round']} of them in one",
              figures["found_in_two"] == figures["shown"] >= 1_000, "make test")


def twins(figures):
    yield row(9, "every two-round Twins schedule at n = 4 without a fork",
              f"{figures['played']} played, {figures['with_evidence']} with evidence", figures["played"] >= 10_816, "make long-tests")


def stack(figures):
    source = "make simulate-stack"
    runs, failed = figures["runs"], len(figures["failed"])
    twice, repeated = figures["ran_twice"], figures["repeated_themselves"]
    heal = figures["heal_to_next_block_ms"]
    yield row(1, "full stack: 300 seeds, 0 violations", f"{runs} runs, {failed} failed", runs >= 300 and failed == 0, source)
    yield row(2, "full stack: 5 % of the seeds twice with equal traces", f"{repeated} of {twice} repeated themselves",
              twice > 0 and repeated == twice, source)
    yield row(5, "full stack: heal to the next final block at most 5 s p95, 10 s max", f"p95 {heal['p95']} ms, max {heal['max']} ms",
              heal["max"] is not None and heal["p95"] <= 5_000 and heal["max"] <= 10_000, source)


def gossip(figures):
    delivered, p99 = figures["delivered_ppm_least"], figures["p99_ms_most"]
    measured = (f"{figures['honest']} honest + {figures['hostile']} hostile: {(delivered or 0) / 10_000:.2f} % delivered at the least, "
                f"p99 {p99} ms at the most, of {figures['runs']} runs; {len(figures['failed'])} failed")
    yield row(10, "40 honest + 40 sybil peers: 99 % delivered, p99 at most 5 s", measured,
              figures["honest"] >= 40 and figures["hostile"] >= 40 and not figures["failed"]
              and (delivered or 0) >= 990_000 and p99 is not None and p99 <= 5_000, "make simulate-stack SCENARIO=gossip")


def processes(figures):
    runs = figures["runs"]
    troubles = [trouble for run in runs for trouble in run["troubles"]]
    kinds = {str(kind) for trouble in troubles for kind in trouble["kinds"]}
    next_block = sorted(t["next_block_ms"] for t in troubles if t["next_block_ms"] is not None)
    resumed = [ms for trouble in troubles for ms in trouble["resumed_ms"]]
    stalled = [t["blocks_while_stalled"] for t in troubles if t["blocks_while_stalled"] is not None]
    passed = all(run["passed"] for run in runs)
    source = "make chaos"
    p95 = next_block[(len(next_block) * 95 + 99) // 100 - 1] if next_block else None
    mixes = {"+".join(map(str, trouble["kinds"])) for trouble in troubles if len(trouble["kinds"]) > 1}
    yield row(3, "24 environment faults fired", f"{len(kinds)} kinds in {len(troubles)} troubles", len(kinds) >= 24 and passed, source)
    yield row(4, "24 mixes of faults on real processes, load kept up", f"{len(mixes)} mixes, {len(runs)} runs, all promises kept: {passed}",
              len(mixes) >= 24 and passed, source)
    cut = {"power-cut": 1, "power-cut-all": max(len(run["nodes"]) for run in runs)}
    cuts = sum(cut.get(str(kind), 0) for trouble in troubles for kind in trouble["kinds"])
    kept = all(verdict["holds"] for run in runs for verdict in run["verdicts"] if verdict["id"] == "ballots")
    yield row(6, "200 power cuts over whole meshes, 0 acknowledged entries lost", f"{cuts} power cuts; every acknowledged ballot there: {kept}",
              cuts >= 200 and kept, source)
    yield row(5, "real: heal to the next final block at most 5 s p95, 10 s max; resumed in 15 s; 0 blocks beyond f",
              f"p95 {p95} ms, max {max(next_block, default=None)} ms; resumed at most {max(resumed, default=None)} ms of {len(resumed)}; "
              f"{sum(stalled)} blocks in {len(stalled)} stalls",
              bool(next_block) and p95 <= 5_000 and next_block[-1] <= 10_000 and max(resumed, default=0) <= 15_000 and sum(stalled) == 0,
              source)


def failpoints(figures):
    kept = sum(verdict["holds"] for verdict in figures["verdicts"])
    yield row(3, "48 failpoints fired", f"{figures['killed']} of {figures['points']} killed a daemon in {figures['took_ms'] / 1000:.0f} s, "
              f"{kept} of {len(figures['verdicts'])} promises kept",
              figures["killed"] >= 48 and figures["holds"], "make failpoints")


def zoo(figures):
    bugs = [hunt for hunt in figures if hunt["bug"] != "none"]
    found = [hunt for hunt in bugs if hunt["seed"] is not None]
    missed = [hunt["bug"] for hunt in bugs if hunt["seed"] is None]
    yield row(12, "25 planted bugs, all found", f"{len(found)} of {len(bugs)} found; not: {', '.join(missed) or 'none'}",
              len(found) >= 25 and not missed, "make zoo")


def mutants(figures):
    yield row(12, "mutants caught 90 %", f"{figures['caught']} of {figures['viable']}, {figures['percent']} %",
              figures["percent"] >= 90, "make mutants")


def model(figures):
    states = sum(part.get("states", 0) for part in figures.get("models", []))
    yield row(13, "model of a million states", f"{states} states", states >= 1_000_000, "make model")


def fuzz(figures):
    targets = figures["targets"]
    broken = [target["target"] for target in targets if not target["holds"]]
    yield row(14, "12 fuzz targets, 60 s each", f"{len(targets)} targets, {figures['seconds_each']} s each; broken: {', '.join(broken) or 'none'}",
              len(targets) >= 12 and figures["seconds_each"] >= 60 and not broken, "make fuzz")


def coverage(figures):
    yield row(15, "branches of deciding code 100 %", f"{figures['taken']} of {figures['sides']}, {figures['excepted']} excepted",
              figures["taken"] + figures["excepted"] == figures["sides"], "make coverage")


MACHINES = {
    "simulation.json": simulation,
    "stack.json": stack,
    "disk-calls.json": disk_calls,
    "split-view.json": split_view,
    "twins-all.json": twins,
    "gossip.json": gossip,
    "processes.json": processes,
    "failpoints.json": failpoints,
    "zoo.json": zoo,
    "mutants.json": mutants,
    "model.json": model,
    "fuzz.json": fuzz,
    "coverage.json": coverage,
}


def main(directory):
    directory = pathlib.Path(directory)
    rows, absent = [], []
    for name, of in MACHINES.items():
        figures = read(directory / name)
        if figures is None:
            absent.append(name)
        else:
            measured_at = written(directory / name)
            rows.extend({**entry, "measured_at": measured_at} for entry in of(figures))
    rows.sort(key=lambda entry: entry["row"])
    for entry in rows:
        print(f"{'  ' if entry['holds'] else '! '}{entry['row']:>2}  {entry['goal']}: {entry['measured']}  "
              f"({entry['source']}, {entry['measured_at'][:16]})")
    for name in absent:
        print(f"    not measured: {name}")
    report = {"version": 1, "rows": rows, "not_measured": absent}
    (directory / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


main(*sys.argv[1:])
