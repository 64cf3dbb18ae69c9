"""Test what happens with damaged files, full disks and killed runs, and print a table.

Run: python benchmarks/robustness.py [GROUP …] [--runs N] [--seed S]

Each group runs in a process of its own, so that a group that dies gives a row too, and its memory is known.
The exit code is 1 if anything crashed or was lost. Needs all extras. Cases with another clock also need
faketime, and the case without a network needs root.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import robustness_files
import robustness_runs
from robustness_files import Tally

GROUPS = robustness_files.GROUPS | robustness_runs.GROUPS

RUNS = {
    "pictures": 4800,
    "annotations": 4000,
    "shards": 2000,
    "configurations": 2000,
    "weights": 300,
    "models": 100,
    "folder": 480,
    "disk": 7,
    "kill": 9,
    "surroundings": 9,
}
"""Number of runs of each group by default."""

NAMES = {
    "pictures": "damaged pictures, 24 kinds of file",
    "annotations": "damaged WIDER, VOC, YOLO and CSV files",
    "shards": "damaged tar shards, and the pictures in them",
    "configurations": "damaged YAML",
    "weights": "damaged weights and checkpoints",
    "models": "damaged ONNX models",
    "folder": "`s3fd detect` on a folder of damaged pictures",
    "disk": "a full disk, command by command",
    "kill": "SIGKILL in detect, gallery add and train",
    "surroundings": "no home, no network, another time",
}


def main() -> int:
    """Run the groups and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"any of {', '.join(GROUPS)}")
    parser.add_argument("--runs", type=int, help="runs of each group, instead of the defaults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = set(args.groups) - GROUPS.keys()
    if unknown:
        parser.error(f"there is no group {', '.join(sorted(unknown))}")
    if args.here:
        (group,) = args.groups
        tally = GROUPS[group](args.runs, np.random.default_rng(args.seed))
        who = resource.RUSAGE_SELF if group in robustness_files.GROUPS else resource.RUSAGE_CHILDREN
        peak = resource.getrusage(who).ru_maxrss
        print(json.dumps({**asdict(tally), "peak": peak}))
        return 0
    print("| tried | times | used | refused | crashed | lost | most memory, MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    bad, told = 0, []
    for group in args.groups or GROUPS:
        found = apart(group, args.runs or RUNS[group], args.seed)
        peak = found.pop("peak")
        tally = Tally(**found)
        bad += tally.crashed + tally.lost
        told += [f"{group}: {line}" for line in tally.told]
        numbers = (tally.tried, tally.used, tally.refused, tally.crashed, tally.lost, peak // 1024)
        print(f"| {NAMES[group]} | " + " | ".join(f"{n:,}" for n in numbers) + " |", flush=True)
    print("\n".join(["", *told]) if told else "")
    return 1 if bad else 0


def apart(group: str, runs: int, seed: int) -> dict:
    """Run a group in a process of its own; a process that fails counts as crashed."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        __file__,
        group,
        "--runs",
        str(runs),
        "--seed",
        str(seed),
        "--here",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = f"the process ended with {done.returncode}: {done.stderr[-500:]}"
        return {**asdict(Tally(tried=runs, crashed=1, told=[reason])), "peak": 0}
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
