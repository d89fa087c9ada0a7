"""Reads LLVM's report and prints the branches of the deciding code, file by file.

Fails for a branch that no test takes and that is not in the list of exceptions, and for an exception that is not needed.
"""

import json
import sys
import tomllib

DECIDING = ("lifecycle", "tally", "rules", "state", "constitution", "ledger", "certificate", "invariant")


def part_of(path):
    """The part of the contracts that a file belongs to, if it decides."""
    name = path.split("/contracts/src/", 1)[-1].split("/")[0].removesuffix(".rs")
    return name if "/contracts/src/" in path and name in DECIDING else None


def main(report_path, exceptions_path, result_path):
    with open(exceptions_path, "rb") as listed:
        exceptions = {(it["file"], it["line"], it["side"]): it["reason"] for it in tomllib.load(listed)["branch"]}
    needed = set()
    with open(report_path, encoding="utf-8") as report:
        files = json.load(report)["data"][0]["files"]
    rows = []
    for file in files:
        part = part_of(file["filename"])
        if part is None:
            continue
        # A branch has a count for true and one for false; the same place is counted once for each copy of the code.
        sides = {}
        for line, column, _, end, on_true, on_false, *_ in file["branches"]:
            for side, count in (("true", on_true), ("false", on_false)):
                key = (line, column, end, side)
                sides[key] = sides.get(key, 0) + count
        missed = sorted((line, side) for (line, _, _, side), count in sides.items() if count == 0)
        name = file["filename"].split("/contracts/src/")[-1]
        with open(file["filename"], encoding="utf-8") as source:
            lines = [line.strip() for line in source]
        excepted = [(line, side) for line, side in missed if (name, lines[line - 1], side) in exceptions]
        needed.update((name, lines[line - 1], side) for line, side in excepted)
        shown = [f"{line} {side}" for line, side in missed if (line, side) not in excepted]
        rows.append({"file": name, "part": part, "sides": len(sides), "excepted": len(excepted), "missed": shown})
    total = sum(row["sides"] for row in rows)
    excepted = sum(row["excepted"] for row in rows)
    taken = total - excepted - sum(len(row["missed"]) for row in rows)
    for row in rows:
        if row["missed"]:
            print(f"{row['file']}: {len(row['missed'])} of {row['sides']} not taken: {', '.join(row['missed'])}")
    share = 100 * taken / (total - excepted) if total > excepted else 0
    print(f"branches of deciding code: {taken} of {total} taken, {excepted} excepted, {share:.1f} % of the rest")
    idle = sorted(set(exceptions) - needed)
    for name, line, side in idle:
        print(f"{name}: an exception that is not needed, or whose line is another now: {line} ({side})")
    with open(result_path, "w", encoding="utf-8") as result:
        whole = {"sides": total, "taken": taken, "excepted": excepted, "percent": round(share, 2), "files": rows}
        json.dump(whole, result, indent=1)
    return 0 if taken + excepted == total and not idle else 1


sys.exit(main(*sys.argv[1:]))
