#!/usr/bin/env python3
"""Writes made-up audit logs with known attacks and tells how many `sentinelflow scan` puts among the highest scores.

  audit_logs.py judge BINARY [--seeds 1 2 3] [--logs NAME ...] [--misses FILE]
  audit_logs.py write FOLDER [--seeds 1 2 3] [--logs NAME ...]

Seeds 1 to 3 are for improving the engine; 101 to 103 (`--held-back`) are for telling how good it is, and nobody looks
into their rows. Each log comes clean and with attacks in about 0.3 % of its rows; the rows of the clean one are the
same. The engine is told nothing: no column is left out, no option is set.

Judged is the recall among the 0.5 % of rows with the highest scores, and which share of the clean version the default
cut-off flags. "rare" are rows that are rare and nobody's attack: they tell where the places went that attacks missed.
"""
import argparse
import collections
import csv
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from audit import LOGS

SEEDS = [1, 2, 3]
HELD_BACK = [101, 102, 103]
ATTACKED = 0.003
FLAGGED = 0.005
LEAST_RECALL = 0.80
MOST_FLAGGED = 0.005


def write_log(path, events, counter):
    """Writes events in the order of time; returns the kind of each row."""
    events = sorted(events, key=lambda event: event.at)
    if counter:
        events = [event._replace(cells=event.cells | {counter: number}) for number, event in enumerate(events, 7_100_211)]
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["time", *events[0].cells])
        for event in events:
            table.writerow([event.at.isoformat(sep=" ", timespec="seconds"), *event.cells.values()])
    return [event.kind for event in events]


def write_labels(path, kinds):
    """Writes row (from 1) and kind of every row that is an attack or a natural rarity."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["row", "kind"])
        table.writerows((row, kind) for row, kind in enumerate(kinds, 1) if kind)


def generate(log, seed, folder):
    """Writes both versions of a log with labels; returns {version: (path, kinds)}."""
    clean, attacks = log(seed).events(ATTACKED)
    written = {}
    for version, events in [("clean", clean), ("attacked", clean + attacks)]:
        path = folder / f"{log.name}-{seed}-{version}.csv"
        written[version] = path, write_log(path, events, log.counter)
        write_labels(path.with_suffix(".labels.csv"), written[version][1])
    return written


def scan(binary, path, *options):
    command = [binary, "scan", path, "--format", "json", "--limit", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the scan of {path} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def scores(binary, path):
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        scan(binary, path, "--scores", file.name)
        with open(file.name, newline="", encoding="utf-8") as lines:
            return [float(line["score"]) for line in csv.DictReader(lines)]


def highest(of_rows):
    """Returns the rows with the highest scores, of equals the first in the file."""
    order = sorted(range(len(of_rows)), key=lambda row: -of_rows[row])
    return order, set(order[: int(FLAGGED * len(of_rows))])


class Judgement:
    """What became of one kind of log over all seeds."""

    def __init__(self):
        self.recalls = []
        self.clean = []
        self.rare = []
        self.by_kind = collections.defaultdict(list)

    def add(self, written, binary, misses):
        path, kinds = written["attacked"]
        order, top = highest(scores(binary, path))
        for row, kind in enumerate(kinds):
            if kind not in ("", "rare"):
                self.by_kind[kind].append(row in top)
        attacks = [row for row, kind in enumerate(kinds) if kind not in ("", "rare")]
        self.recalls.append(len(top.intersection(attacks)) / len(attacks))
        self.rare.append(sum(kinds[row] == "rare" for row in top) / len(top))
        report = scan(binary, written["clean"][0])
        self.clean.append(report["threats_detected"] / report["total_scanned"])
        if misses:
            write_misses(misses, path, kinds, order, top)

    def mean(self, of):
        return statistics.mean(getattr(self, of))


def write_misses(misses, path, kinds, order, top):
    """Adds the attacks that were missed, and the everyday rows that stood above them, with rank and cells."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    for rank, row in enumerate(order, 1):
        is_attack = kinds[row] not in ("", "rare")
        if is_attack != (row in top):
            print(path.stem, rank, kinds[row] or "everyday", *rows[row], sep="\t", file=misses)


def show(name, recall, clean, rare="", cases=""):
    shown = f"{100 * clean:8.2f}" if clean is not None else " " * 8
    rest = f"{100 * rare:8.1f}" if rare != "" else " " * 8
    print(f"{name:34}{cases:>7}{100 * recall:8.1f}{shown}{rest}", flush=True)


def judge(args):
    print(f"{'log, kind of attack':34}{'cases':>7}{'recall':>8}{'clean':>8}{'rare':>8}   (%)")
    every, by_kind = [], collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, open(args.misses or "/dev/null", "w", encoding="utf-8") as misses:
        for log in args.logs:
            judgement = Judgement()
            for seed in args.seeds:
                written = generate(log, seed, pathlib.Path(folder))
                judgement.add(written, args.target, misses if args.misses else None)
                for left in pathlib.Path(folder).iterdir():
                    left.unlink()
            every.append(judgement)
            cases = sum(map(len, judgement.by_kind.values()))
            show(log.name, *map(judgement.mean, ("recalls", "clean", "rare")), cases)
            for kind, found in judgement.by_kind.items():
                show(f"  {kind}", statistics.mean(found), None, cases=len(found))
                by_kind[kind].append(statistics.mean(found))
    print("mean over logs")
    for kind, shares in by_kind.items():
        show(f"  {kind}", statistics.mean(shares), None)
    recall, clean, rare = (statistics.mean(judgement.mean(of) for judgement in every) for of in ("recalls", "clean", "rare"))
    show("all", recall, clean, rare)
    worst = max(max(judgement.clean) for judgement in every)
    print(f"recall at {FLAGGED:.1%} flagged: {recall:.1%} {'ok' if recall >= LEAST_RECALL else 'BELOW'} (≥ {LEAST_RECALL:.0%})")
    verdict = "ok" if worst <= MOST_FLAGGED else "ABOVE"
    print(f"flagged of clean logs: mean {clean:.2%}, at worst {worst:.2%} {verdict} (≤ {MOST_FLAGGED:.1%})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["judge", "write"])
    parser.add_argument("target", metavar="BINARY | FOLDER", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--held-back", action="store_const", dest="seeds", const=HELD_BACK)
    parser.add_argument("--logs", nargs="+", choices=[log.name for log in LOGS], default=[log.name for log in LOGS], metavar="NAME")
    parser.add_argument("--misses", type=pathlib.Path, help="writes the attacks that were missed and what stood above them (tabs)")
    args = parser.parse_args()
    args.logs = [log for log in LOGS if log.name in args.logs]
    if args.what == "judge":
        judge(args)
        return
    args.target.mkdir(parents=True, exist_ok=True)
    for log in args.logs:
        for seed in args.seeds:
            generate(log, seed, args.target)


if __name__ == "__main__":
    main()
