"""Reads LLVM's report and prints the branches of the deciding code, file by file."""

import json
import sys

DECIDING = ("lifecycle", "tally", "rules", "state", "constitution", "ledger", "certificate", "invariant")


def part_of(path):
    """The part of the contracts that a file belongs to, if it decides."""
    name = path.split("/contracts/src/", 1)[-1].split("/")[0].removesuffix(".rs")
    return name if "/contracts/src/" in path and name in DECIDING else None


def main(report_path, result_path):
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
        rows.append({"file": name, "part": part, "sides": len(sides), "missed": [f"{line} {side}" for line, side in missed]})
    total = sum(row["sides"] for row in rows)
    taken = total - sum(len(row["missed"]) for row in rows)
    for row in rows:
        if row["missed"]:
            print(f"{row['file']}: {row['sides'] - len(row['missed'])} of {row['sides']}; not taken: {', '.join(row['missed'])}")
    share = 100 * taken / total if total else 0
    print(f"branches of deciding code: {taken} of {total} taken, {share:.1f} %")
    with open(result_path, "w", encoding="utf-8") as result:
        json.dump({"sides": total, "taken": taken, "percent": round(share, 2), "files": rows}, result, indent=1)


main(*sys.argv[1:])
