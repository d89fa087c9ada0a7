"""Sums up what became of each mutant, file by file, and names the survivors."""

import json
import sys
from collections import Counter


def main(outcomes_path, result_path):
    with open(outcomes_path, encoding="utf-8") as outcomes:
        mutants = [outcome for outcome in json.load(outcomes)["outcomes"] if outcome["scenario"] != "Baseline"]
    if not mutants:
        sys.exit("mutants: nothing was changed; the files named have to exist and hold code")
    files, survivors = {}, []
    for outcome in mutants:
        mutant, what = outcome["scenario"]["Mutant"], outcome["summary"]
        files.setdefault(mutant["file"], Counter())[what] += 1
        if what == "MissedMutant":
            survivors.append(mutant["name"])
    caught = sum(count["CaughtMutant"] + count["Timeout"] for count in files.values())
    viable = caught + len(survivors)
    for name, count in sorted(files.items()):
        found = count["CaughtMutant"] + count["Timeout"]
        print(f"{name}: {found} of {found + count['MissedMutant']} caught, {count['Unviable']} do not compile")
    for name in survivors:
        print(f"survives: {name}")
    share = 100 * caught / viable if viable else 0
    print(f"mutants: {caught} of {viable} caught, {share:.1f} %")
    with open(result_path, "w", encoding="utf-8") as result:
        json.dump({"caught": caught, "viable": viable, "percent": round(share, 2), "survivors": survivors}, result, indent=1)


main(*sys.argv[1:])
