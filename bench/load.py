#!/usr/bin/env python3
"""Loads a `sentinelflow` and shows what it costs, beside what it may cost. Needs wrk and Linux's /proc.

  load.py BINARY [PART ...]           starts `sentinelflow dev` (or serve: --mode serve) for itself
  load.py URL --pid PID [PART ...]    loads one that runs already; no startup, no scan

Parts: startup analyze logs stats scan. CPU seconds are the server process's own, user and system; wrk's don't count.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import NamedTuple

HERE = pathlib.Path(__file__).parent
WORK = HERE.parent / "target" / "bench"
PARTS = ["startup", "analyze", "logs", "stats", "scan"]
TENANT = "load"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
EVENTS = [
    ("sshd", 4625, "WARNING", "Failed password for root from {ip} port {port} ssh2"),
    ("sshd", 4624, "INFO", "Accepted publickey for {user} from {ip} port {port} ssh2"),
    ("nginx", 200, "INFO", '{ip} - - [25/Jan/2026:10:00:00 +0000] "GET /orders/{n} HTTP/1.1" 200 {port} "-" "Mozilla/5.0"'),
    ("nginx", 400, "WARNING", '{ip} - - [25/Jan/2026:10:00:00 +0000] "GET /?id={n}%27%20UNION%20SELECT%20pw%20FROM%20users-- HTTP/1.1" 400 {port} "-" "curl/8.5"'),
    ("nginx", 404, "WARNING", '{ip} - - [25/Jan/2026:10:00:00 +0000] "GET /files?name=../../../etc/passwd HTTP/1.1" 404 0 "-" "-"'),
    ("firewall", 5156, "INFO", "Allowed TCP {ip}:{port} -> 10.0.0.{n}:443"),
    ("edr", 1, "INFO", "Process started by {user}: /usr/bin/python3 /opt/report/{n}.py"),
    ("powershell", 4104, "WARNING", "powershell.exe -NoP -W Hidden -EncodedCommand SQBFAFgAIAAoAE4AZQB3AC0A run by {user}"),
    ("idp", 50126, "WARNING", "Sign-in of {user} from {ip} failed: wrong password"),
    ("backup", 21, "INFO", "Backup {n} finished: {port} files in {n} s"),
]


class Server(NamedTuple):
    base: str
    pid: int | None
    ready_s: float
    authorization: str | None = None
    log: pathlib.Path | None = None


class Load(NamedTuple):
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failed: int
    cpu_s: float


@contextlib.contextmanager
def started(binary, folder, mode="dev", settings=None):
    """Yields a `sentinelflow` that answers, on a free port and an empty data folder; ends it and removes the folder."""
    # With a key that happens to lie in the environment, it would ask a real model about made-up events.
    env = {name: value for name, value in os.environ.items() if name != "GEMINI_API_KEY"} | (settings or {})
    with tempfile.TemporaryDirectory(dir=folder) as data:
        listen = f"127.0.0.1:{free_port()}"
        with open(f"{data}/server.log", "w", encoding="utf-8") as log:
            begin = time.monotonic()
            command = [binary, mode, "--listen", listen, "--data", data]
            process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
        try:
            while not answers(f"http://{listen}/healthz"):
                if process.poll() is not None or time.monotonic() - begin > 60:
                    sys.exit(f"{binary} did not start:\n" + pathlib.Path(data, "server.log").read_text(encoding="utf-8"))
                time.sleep(0.001)
            yield Server(f"http://{listen}", process.pid, time.monotonic() - begin, log=pathlib.Path(data, "server.log"))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_mib(pid, field):
    """`VmRSS` is what the process holds now, `VmHWM` the most it ever held."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":")) / 1024


def sign_up(base, username=TENANT):
    """Returns the new tenant's `Authorization`, None if the name is taken (harmless in `dev`)."""
    body = json.dumps({"username": username, "password": "a-Passw0rd-for-load"}).encode()
    request = urllib.request.Request(f"{base}/security/signup", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return f"Bearer {json.load(answer)['api_key']}"
    except urllib.error.HTTPError as refusal:
        if refusal.code != 409:
            raise
        return None


def write_bodies(path):
    dice = random.Random(1)
    with open(path, "w", encoding="utf-8") as bodies:
        for _ in range(2000):
            source, event_id, level, message = dice.choice(EVENTS)
            ip, user = ".".join(str(dice.randrange(1, 255)) for _ in range(4)), dice.choice(["ana", "bob", "eve", "svc"])
            message = message.format(ip=ip, user=user, port=dice.randrange(1024, 65536), n=dice.randrange(1, 255))
            metadata = {"ip": ip, "user": user, "host": f"web-{dice.randrange(9)}", "session": f"{dice.getrandbits(64):x}"}
            entry = {"source": source, "event_id": event_id, "severity_level": level, "message": message, "metadata": metadata}
            bodies.write(json.dumps(entry) + "\n")


def load(server, path, seconds, connections, bodies=None):
    """Asks for `path` over and over and returns the figures of it."""
    settings = {"LOAD_PATH": path, "LOAD_AUTH": server.authorization, "LOAD_BODIES": bodies}
    env = os.environ | {name: str(value) for name, value in settings.items() if value}
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "20s",
               "--script", str(HERE / "load.lua"), server.base]
    before = cpu_s(server.pid)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    used = cpu_s(server.pid) - before
    figures = next((line.split()[1:] for line in done.stdout.splitlines() if line.startswith("FIGURES ")), None)
    if not figures or int(figures[0]) == 0:
        sys.exit(f"wrk failed:\n{done.stdout}{done.stderr}")
    requests, wall, p50, p99, longest, failed = figures
    return Load(int(requests), float(wall), float(p50), float(p99), float(longest), int(failed), used)


def report(name, figure, most=None):
    value, unit = figure
    verdict = "" if most is None else f"   {'ok' if value <= most else 'ABOVE'} (at most {most:g})"
    print(f"{name:44} {value:12,.3f} {unit:8}{verdict}", flush=True)


def report_load(name, runs, server):
    def median(of):
        return statistics.median(of(run) for run in runs)

    def rate(run):
        return run.requests / run.seconds

    cpu_ms = median(lambda run: 1000 * run.cpu_s / run.requests)
    print(f"{name}: {len(runs)} runs, {min(map(rate, runs)):,.0f} to {max(map(rate, runs)):,.0f} requests/s")
    report("  requests/s", (median(rate), ""))
    report("  p50", (median(lambda run: run.p50_ms), "ms"))
    report("  p99", (median(lambda run: run.p99_ms), "ms"), 10 if name == "analyze" else None)
    report("  CPU for each", (cpu_ms, "ms"), None if name == "analyze" else 1)
    report("  most memory so far", (memory_mib(server.pid, "VmHWM"), "MiB"))
    report("  failed", (sum(run.failed for run in runs), ""), 0)


def measure_startup(args):
    ready, idle = [], []
    for _ in range(7):
        with started(args.target, args.work, args.mode) as server:
            ready.append(1000 * server.ready_s)
            time.sleep(1)
            idle.append(memory_mib(server.pid, "VmRSS"))
    print("startup: 7 starts with an empty data folder, until the first 200 of /healthz")
    report("  ready after", (statistics.median(ready), "ms"), 200)
    report("  memory when idle", (statistics.median(idle), "MiB"), 50)
    report("  size of the binary", (os.path.getsize(args.target) / 2**20, "MiB"), 40)


def measure_requests(args, server):
    bodies = args.work / "bodies.jsonl"
    write_bodies(bodies)
    analyze = f"/security/analyze/{TENANT}"
    if "analyze" in args.parts:
        load(server, analyze, 2, args.connections, bodies)
        runs = [load(server, analyze, args.seconds, args.connections, bodies) for _ in range(args.runs)]
        report_load("analyze", runs, server)
    reads = [part for part in ("logs", "stats") if part in args.parts]
    if reads:
        seed(server, TENANT, args.logs, bodies)
    for part in reads:
        path = f"/security/{part}/{TENANT}"
        load(server, path, 1, args.connections)
        report_load(part, [load(server, path, args.seconds, args.connections) for _ in range(args.runs)], server)


def seed(server, tenant, logs, bodies):
    stored, begin = 0, time.monotonic()
    while stored < logs:
        run = load(server, f"/security/analyze/{tenant}", 5, 64, bodies)
        stored += run.requests - run.failed
        if run.failed:
            sys.exit(f"{run.failed} of {run.requests} logs were refused")
    print(f"seeded {stored:,} logs in {time.monotonic() - begin:.0f} s")


def measure_scan(args):
    table = args.work / "table.csv"
    write_table(table)
    cpu, wall, peak = [], [], []
    for _ in range(min(args.runs, 3)):
        begin = time.monotonic()
        process = subprocess.Popen([args.target, "scan", str(table)], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"the scan ended with exit code {process.returncode}")
        wall.append(time.monotonic() - begin)
        cpu.append(used.ru_utime + used.ru_stime)
        peak.append(used.ru_maxrss / 1024)
    print(f"scan: 100,000 rows of 20 numbers, {table.stat().st_size / 2**20:.0f} MiB of CSV")
    report("  CPU", (statistics.median(cpu), "s"), 2)
    report("  wall", (statistics.median(wall), "s"))
    report("  most memory", (statistics.median(peak), "MiB"), 200)


def write_table(path):
    """Twenty columns that four hidden causes move together; one row in a hundred breaks that."""
    dice = random.Random(2)
    weights = [[dice.gauss(0, 1) for _ in range(4)] for _ in range(20)]
    with open(path, "w", encoding="utf-8") as table:
        table.write(",".join(f"c{n}" for n in range(20)) + "\n")
        for row in range(100_000):
            causes = [dice.gauss(0, 1) for _ in range(4)]
            values = [sum(map(float.__mul__, weight, causes)) + dice.gauss(0, 0.2) for weight in weights]
            if row % 100 == 42:
                values[dice.randrange(20)] += 12
            table.write(",".join(f"{value:.4f}" for value in values) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", metavar="BINARY | URL")
    parser.add_argument("parts", metavar="PART", nargs="*", choices=[*PARTS, []], help="all by default")
    parser.add_argument("--mode", choices=["dev", "serve"], default="dev")
    parser.add_argument("--pid", type=int, help="the process behind the URL")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=6, help="of each run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--logs", type=int, default=1_000_000, help="how many are stored before logs and stats are read")
    parser.add_argument("--work", type=pathlib.Path, default=WORK, help="where data goes: a real disk, not memory (%(default)s)")
    args = parser.parse_intermixed_args()
    if not shutil.which("wrk"):
        parser.error("wrk is not installed")
    runs_already = args.target.startswith("http://")
    if runs_already != bool(args.pid):
        parser.error("--pid belongs to a URL, and a URL needs it")
    args.parts = args.parts or PARTS

    args.work.mkdir(parents=True, exist_ok=True)
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    if runs_already:
        server = Server(args.target.rstrip("/"), args.pid, 0)
        measure_requests(args, server._replace(authorization=sign_up(server.base)))
        return
    if "startup" in args.parts:
        measure_startup(args)
    if {"analyze", "logs", "stats"} & set(args.parts):
        with started(args.target, args.work, args.mode) as server:
            measure_requests(args, server._replace(authorization=sign_up(server.base)))
    if "scan" in args.parts:
        measure_scan(args)


if __name__ == "__main__":
    main()
