#!/usr/bin/env python3
"""Scans CSV files of growing size and tells whether time grows in a line and memory stays bounded.

  growth.py BINARY [--gigabytes 0.1 1 10] [--work FOLDER]

Each file has 20 columns: a time, an address, two words and sixteen numbers, of which two groups of eight move together.
It is written, scanned once and deleted before the next. CPU, memory and time are the scan's own (wait4).
"""
import argparse
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
from typing import NamedTuple

from load import WORK

GIGABYTE = 10**9
BLOCK_ROWS = 60_000
HEADER = ["time", "source", "action", "host", *(f"m{n:02}" for n in range(16))]
WORDS = "login logout read write list create delete rename upload download grant revoke".split()
MOST_MIB = 512
LEAST_ROWS_PER_S = 70_000


class Figures(NamedTuple):
    size: int
    rows: int
    cpu_s: float
    wall_s: float
    peak_mib: float

    @property
    def cpu_s_per_gigabyte(self):
        return self.cpu_s * GIGABYTE / self.size


def numbers(dice):
    """Returns a row's half: eight numbers that three hidden causes move together."""
    causes = [dice.gauss(0, 1) for _ in range(3)]
    values = [sum(causes) + dice.gauss(0, 0.3), causes[0] - causes[1] + dice.gauss(0, 0.3), *(cause + dice.gauss(0, 0.2) for cause in causes)]
    counts = [round(dice.lognormvariate(5, 1) * (1 + abs(cause))) for cause in causes]
    return ",".join([*(f"{100 + 20 * value:.3f}" for value in values), *map(str, counts)])


class Rows:
    """Rows without end. The parts of a row are made once; every block pairs them anew and has its own hour."""

    def __init__(self, seed):
        dice = random.Random(seed)
        addresses = [f"10.{dice.randrange(8)}.{dice.randrange(256)}.{dice.randrange(1, 255)}" for _ in range(3_000)]
        self.clock = [f":{n * 60 // BLOCK_ROWS:02}:{n * 3600 // BLOCK_ROWS % 60:02}.{n * 60 % 1000:03}" for n in range(BLOCK_ROWS)]
        self.names = [f",{dice.choice(addresses)},{dice.choice(WORDS)},app-{dice.randrange(40):02}," for _ in range(BLOCK_ROWS)]
        self.left = [numbers(dice) + "," for _ in range(BLOCK_ROWS)]
        self.right = [numbers(dice) + "\n" for _ in range(BLOCK_ROWS)]

    def block(self, number):
        day, hour = divmod(number, 24)
        start = f"2026-{1 + day // 28 % 12:02}-{1 + day % 28:02} {hour:02}"
        names, right = rotated(self.names, 7_919 * number), rotated(self.right, 104_729 * number)
        return "".join(start + "".join(parts) for parts in zip(self.clock, names, self.left, right)).encode()


def rotated(values, by):
    by %= len(values)
    return values[by:] + values[:by]


def write(path, size, rows):
    """Writes whole blocks until the size is reached; returns how many rows that are."""
    with open(path, "wb") as file:
        written = file.write((",".join(HEADER) + "\n").encode())
        blocks = 0
        while written < size:
            written += file.write(rows.block(blocks))
            blocks += 1
    return blocks * BLOCK_ROWS


def scan(binary, path, rows, options):
    begin = time.monotonic()
    process = subprocess.Popen([binary, "scan", path, "--limit", "0", *options], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the scan of {path} ended with exit code {process.returncode}")
    cpu_s, wall_s = used.ru_utime + used.ru_stime, time.monotonic() - begin
    return Figures(path.stat().st_size, rows, cpu_s, wall_s, used.ru_maxrss / 1024)


def show(figures):
    cells = [figures.size / GIGABYTE, figures.rows, figures.cpu_s, figures.wall_s, figures.peak_mib, figures.rows / figures.cpu_s,
             figures.cpu_s_per_gigabyte]
    print(f"{cells[0]:8.2f} {cells[1]:12,} {cells[2]:9.2f} {cells[3]:9.2f} {cells[4]:10.0f} {cells[5]:13,.0f} {cells[6]:10.2f}", flush=True)


def judge(measured):
    """Prints what holds of the goals."""
    last = measured[-1]
    print(f"most memory {max(one.peak_mib for one in measured):.0f} MiB (≤ {MOST_MIB}); {last.rows / last.cpu_s:,.0f} rows/s per core"
          f" at the largest size (≥ {LEAST_ROWS_PER_S:,})")
    for smaller, larger in zip(measured, measured[1:]):
        size, cpu = larger.size / smaller.size, larger.cpu_s / smaller.cpu_s
        verdict = "in a line or less" if cpu <= 1.1 * size else "MORE than in a line"
        sizes = f"{smaller.size / GIGABYTE:.2g} to {larger.size / GIGABYTE:.2g} GB"
        print(f"{sizes}: {size:.1f} times the bytes, {cpu:.1f} times the CPU: {verdict}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.1, 1, 10])
    parser.add_argument("--work", type=pathlib.Path, default=WORK, help="where the files go: a real disk (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="what else to pass to the scan; must come last")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(args.work).free
    # A scan may keep a temporary copy beside the file.
    if 2.2 * max(args.gigabytes) * GIGABYTE > free:
        parser.error(f"{args.work} has only {free / GIGABYTE:.1f} GB free")

    rows, path, measured = Rows(args.seed), args.work / "growth.csv", []
    print(f"{'GB':>8} {'rows':>12} {'CPU s':>9} {'wall s':>9} {'peak MiB':>10} {'rows/s core':>13} {'CPU s/GB':>10}")
    for gigabytes in sorted(args.gigabytes):
        try:
            count = write(path, gigabytes * GIGABYTE, rows)
            measured.append(scan(args.binary, path, count, args.options))
        finally:
            path.unlink(missing_ok=True)
        show(measured[-1])
    judge(measured)


if __name__ == "__main__":
    main()
