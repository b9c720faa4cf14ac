#!/usr/bin/env python3
"""Loads `sentinelflow` with and without a language model, in turn, and prints what the second opinion costs.

  second_opinion.py BINARY FAKE_MODEL [PART ...]     needs wrk and Linux's /proc

FAKE_MODEL stands in for the provider (`cargo build --release --package sentinelflow-fakes`). Parts:
  known     a day's log lines whose times, ids, users and addresses differ: what was asked before need not be asked again
  distinct  every line has a word that was never seen, the model takes 300 ms; seed_stack beside it where it is to be had
  down      nobody listens where the provider should
  faults    30 % of the provider's answers are faults, the others take 50 ms
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from typing import NamedTuple

import compare
from load import TENANT, TICKS_PER_S, WORK, Load, answers, cpu_s, free_port, load, memory_mib, sign_up, started

PARTS = ["known", "distinct", "down", "faults"]
ANALYZE = f"/security/analyze/{TENANT}"
LATENCY_S = 0.3
# The server's own defaults (`llm.concurrency`, `llm.batch`, `llm.timeout_ms`).
CONCURRENCY, BATCH, DEADLINE_MS = 16, 16, 2500
# More than any run can use: budgets are not what is measured here.
NO_BUDGET = {"SENTINELFLOW_LLM__TOKENS_PER_DAY": str(1 << 50), "SENTINELFLOW_LLM__USD_PER_DAY": "1000000"}
MOST_BODIES_PER_S = 30_000

# How many lines in a hundred are of a kind, and what they look like.
DAY = [
    (3, "sshd", 1, "INFO", "{syslog} sshd[{pid}]: Accepted publickey for {user} from {ip} port {port} ssh2"),
    (2, "sshd", 2, "WARNING", "{syslog} sshd[{pid}]: Failed password for invalid user {user} from {ip} port {port} ssh2"),
    (2, "sshd", 3, "INFO", "{syslog} sshd[{pid}]: pam_unix(sshd:session): session opened for user {user}(uid={n}) by (uid=0)"),
    (2, "sshd", 4, "INFO", "{syslog} sshd[{pid}]: pam_unix(sshd:session): session closed for user {user}"),
    (2, "sshd", 5, "INFO", "{syslog} sshd[{pid}]: Disconnected from user {user} {ip} port {port}"),
    (2, "sshd", 6, "INFO", "{syslog} sshd[{pid}]: Connection closed by authenticating user {user} {ip} port {port} [preauth]"),
    (14, "nginx", 200, "INFO", '{ip} - - [{clf}] "GET /orders/{n} HTTP/1.1" 200 {bytes} "https://shop.example.com/" "{browser}"'),
    (12, "nginx", 200, "INFO", '{ip} - - [{clf}] "GET /api/v1/users/{n}/cart HTTP/1.1" 200 {bytes} "-" "{browser}"'),
    (8, "nginx", 200, "INFO", '{ip} - - [{clf}] "GET /search?q={user}&page={n} HTTP/2.0" 200 {bytes} "-" "{browser}"'),
    (6, "nginx", 304, "INFO", '{ip} - - [{clf}] "GET /static/app.{hex}.js HTTP/2.0" 304 0 "-" "{browser}"'),
    (4, "nginx", 302, "INFO", '{ip} - - [{clf}] "POST /login HTTP/1.1" 302 {bytes} "-" "{browser}"'),
    (1, "nginx", 200, "INFO", '{ip} - {user} [{clf}] "GET /grafana/api/health HTTP/1.1" 200 {bytes} "-" "{browser}"'),
    (2, "nginx", 404, "WARNING", '{ip} - - [{clf}] "GET /products/{n} HTTP/1.1" 404 {bytes} "-" "{browser}"'),
    (12, "orders", 1, "INFO", "{iso} INFO order {uuid} of user {user} placed: {n} items, {bytes} cents, took {ms} ms"),
    (10, "orders", 2, "INFO", "{iso} DEBUG request {uuid} from {ip} answered in {ms} ms, status=200"),
    (8, "payments", 1, "INFO", "{iso} INFO payment {uuid} authorised for user={user} amount={bytes} after {ms} ms"),
    (6, "jobs", 1, "INFO", "{iso} INFO job {pid} finished: {bytes} rows in {ms} ms"),
    (4, "jobs", 2, "WARNING", "{iso} WARN job {pid} was slow: {ms} ms, retried at {iso}"),
]
# Where people write, every line can be one that nobody saw before.
FREE = [
    (15, "sshd", 7, "WARNING", "{syslog} sshd[{pid}]: Bad protocol version identification '{word}' from {ip} port {port}"),
    (50, "nginx", 200, "INFO", '{ip} - - [{clf}] "GET /tags/{word} HTTP/1.1" 200 {bytes} "-" "{browser}"'),
    (35, "orders", 3, "INFO", "{iso} INFO note on order {uuid}: the customer asks for {word} in {ms} days"),
]
BROWSERS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.{}.{} Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{} Mobile/15E148 Safari/604.1",
]
PUBLIC = [23, 45, 62, 78, 81, 93, 109, 141, 185, 188]
CONSONANTS, VOWELS = "bdfgklmnprstvwz", "aeiou"
SYLLABLES = [consonant + vowel for consonant in CONSONANTS for vowel in VOWELS]
LONGEST_WORD = 5
# Shares no factor with the number of words, so that each number gets a word of its own; neighbours look nothing alike.
STRIDE = 1_618_033_991


def word(number):
    """Returns a word of letters alone, another one for each number: nothing in it is masked."""
    rest = number * STRIDE % len(SYLLABLES) ** LONGEST_WORD
    syllables = []
    for _ in range(LONGEST_WORD):
        rest, syllable = divmod(rest, len(SYLLABLES))
        syllables.append(SYLLABLES[syllable])
    return "".join(syllables)


class Bodies:
    """Writes files of requests. All lines differ, in what is masked or in a word of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.dice = random.Random(3)
        self.words = itertools.count(1)

    def write(self, name, kinds, count):
        path = self.folder / f"{name}.jsonl"
        chosen = self.dice.choices(kinds, weights=[kind[0] for kind in kinds], k=count)
        with open(path, "w", encoding="utf-8") as bodies:
            for number, (_, source, event_id, level, message) in enumerate(chosen):
                values = self.values(86_400 * number // count)
                message = message.format(**values, word=word(next(self.words)) if kinds is FREE else "")
                metadata = {"ip": values["ip"], "user": values["user"], "pid": values["pid"], "session": values["hex"]}
                entry = {"source": source, "event_id": event_id, "severity_level": level, "message": message, "metadata": metadata}
                bodies.write(json.dumps(entry) + "\n")
        return path

    def values(self, second):
        dice = self.dice
        bits = f"{dice.getrandbits(128):032x}"
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        inner = dice.random() < 0.3
        return {
            "syslog": f"Jan 25 {clock} web-{dice.randrange(9)}",
            "clf": f"25/Jan/2026:{clock} +0000",
            "iso": f"2026-01-25T{clock}.{dice.randrange(1000):03}Z",
            "ip": f"{10 if inner else dice.choice(PUBLIC)}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(1, 255)}",
            "user": "".join(dice.choices(SYLLABLES, k=4)),
            "port": dice.randrange(1024, 65536),
            "pid": dice.randrange(1000, 65536),
            "n": dice.randrange(1, 1000),
            "bytes": dice.randrange(1000, 100_000),
            "ms": dice.randrange(1, 1000),
            "hex": bits[:16],
            "uuid": f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}",
            "browser": dice.choice(BROWSERS).format(dice.randrange(1, 9), dice.randrange(1, 9)),
        }


class Side:
    """One server and its runs."""

    def __init__(self, name, server, fake_pid=None):
        self.name, self.server, self.fake_pid = name, server, fake_pid
        self.runs, self.fake_cpu_s, self.foreign_cores = [], 0.0, []
        self.memory_mib = None
        self.before = Counter()

    def warm_up(self, bodies, seconds):
        self.measure(bodies, seconds)
        self.memory_mib = memory_mib(self.server.pid, "VmRSS")
        self.before = counted(self.server)

    def run(self, bodies, seconds):
        fake, wrk, machine, begin = self.fake_used_s(), wrk_used_s(), machine_used_s(), time.monotonic()
        run = self.measure(bodies, seconds)
        wall = time.monotonic() - begin
        fake, wrk, machine = self.fake_used_s() - fake, wrk_used_s() - wrk, machine_used_s() - machine
        self.runs.append(run)
        self.fake_cpu_s += fake
        self.foreign_cores.append(max(0, machine - wrk - fake - run.cpu_s) / wall)
        # What is still under way when wrk leaves is not to cost the next run anything.
        time.sleep(1)

    def fake_used_s(self):
        return cpu_s(self.fake_pid) if self.fake_pid else 0

    def measure(self, bodies, seconds):
        return load(self.server, ANALYZE, seconds, 64, bodies)

    def counted(self):
        """What the server has counted since the warm-up."""
        return counted(self.server) - self.before

    def tell(self):
        """Prints what doesn't belong in the table: how the server felt about it."""
        requests = sum(run.requests for run in self.runs)
        grown = f"memory {self.memory_mib:.0f} to {memory_mib(self.server.pid, 'VmRSS'):.0f} MiB over {requests:,} requests"
        fake = f", the fake model used {1000 * self.fake_cpu_s / requests:.3f} CPU s per 1,000" if self.fake_pid else ""
        print(f"#   {self.name}: {grown}{fake}, {sum(run.failed for run in self.runs)} failed")
        for meter in ("opinions", "degraded", "calls", "rechecks", "unusable_answers"):
            found = {label: count for (name, label), count in sorted(self.counted().items()) if name == meter}
            if found:
                print(f"#     {meter}: " + ", ".join(f"{label} {count:,}" for label, count in found.items()))
        for warning, count in complaints(self.server.log).most_common(5):
            print(f"#     {count:,} times in its log: {warning}")


class Peer(Side):
    """seed_stack under its own driver; mongod's CPU seconds are its own."""

    def __init__(self, stack, side, fake_pid):
        super().__init__("seed_stack", None, fake_pid)
        self.stack, self.side = stack, side

    def warm_up(self, bodies, seconds):
        self.measure(bodies, seconds)

    def measure(self, bodies, seconds):
        of_run = ["--payloads", bodies, "--users", TENANT, "--runs", 1, "--warmup", 0, "--seconds", seconds]
        f = self.stack.drive("load.py", "analyze", *self.side.arguments, *of_run)
        failed = f["non2xx"] + f["socket_errors"] + f["timeouts"]
        used = compare.cpu_s_per_1k(self.side.processes, f) * f["requests"] / 1000
        return Load(int(f["requests"]), f["seconds"], f["p50_ms"], f["p99_ms"], f["max_ms"], int(failed), used)

    def tell(self):
        print(f"#   seed_stack: {sum(run.failed for run in self.runs)} failed")


def counted(server):
    """Returns the meters of the second opinion by name and label."""
    with urllib.request.urlopen(f"{server.base}/metrics") as answer:
        text = answer.read().decode()
    meters = re.findall(r'^sentinelflow_llm_(\w+)_total(?:\{\w+="(\w+)"\})? (\d+)$', text, re.MULTILINE)
    return Counter({(name, label): int(count) for name, label, count in meters})


def complaints(log):
    """Returns how often the server warned of what; numbers and ids in the sentences don't count."""
    lines = re.findall(r"(?:WARN|ERROR) .*", log.read_text(encoding="utf-8"))
    return Counter(re.sub(r"[0-9a-f]{16,}|\d+", "…", line) for line in lines)


def degraded(server, bodies):
    """Sends the first of the bodies and returns why the answer has no opinion, None if it has one."""
    with open(bodies, encoding="utf-8") as lines:
        body = lines.readline().encode()
    request = urllib.request.Request(server.base + ANALYZE, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["analysis"]["degraded"]


class Bench:
    """The servers of one part, and the table and goals that come of them."""

    def __init__(self, args):
        self.args = args
        self.bodies = Bodies(args.work)
        self.goals = []

    def plenty(self):
        return MOST_BODIES_PER_S * self.args.seconds

    @contextlib.contextmanager
    def without_model(self):
        with started(self.args.binary, self.args.work) as server:
            sign_up(server.base)
            yield Side("no key", server)

    @contextlib.contextmanager
    def with_model(self, name, *fake_flags):
        with fake_model(self.args.fake_model, *fake_flags) as (url, pid), self.asking(name, url, pid) as side:
            yield side

    @contextlib.contextmanager
    def asking(self, name, url, fake_pid=None):
        settings = {"GEMINI_API_KEY": "a-key-for-nobody", "SENTINELFLOW_LLM__BASE_URL": url} | NO_BUDGET
        with started(self.args.binary, self.args.work, settings=settings) as server:
            sign_up(server.base)
            yield Side(name, server, fake_pid)

    def in_turn(self, sides, bodies_of):
        """Loads the sides one after the other, there and back again."""
        for turn in range(self.args.rounds):
            # Whoever always came after the same one would have its leavings.
            for side in sides if turn % 2 == 0 else reversed(sides):
                side.run(bodies_of(), self.args.seconds)

    def goal(self, what, value, limit, unit="", at_least=True):
        is_met = value >= limit if at_least else value <= limit
        asked = f"{'at least' if at_least else 'at most'} {limit:,.4g}{unit}"
        self.goals.append(f"{'ok    ' if is_met else 'NOT OK'} {what}: {value:,.4g}{unit} ({asked})")

    def known(self):
        bodies = self.bodies.write("day", DAY, self.plenty())
        with self.without_model() as local, self.with_model("model, 0 ms", "--latency-ms", "0") as model:
            local.warm_up(bodies, 2)
            # Lines that were asked about together are asked about once more, each alone, before they are remembered.
            model.warm_up(bodies, 5)
            self.in_turn([local, model], lambda: bodies)
            show("known", local, model)
            for side in (local, model):
                side.tell()
            print(f"#   an answer without a key is degraded for: {degraded(local.server, bodies)}")
            calls = sum(count for (name, _), count in model.counted().items() if name == "calls")
        requests = sum(run.requests for run in model.runs)
        self.goal("known: throughput as a share of that without a key", pairs(model, local, rate), 0.85)
        self.goal("known: events without a call", 100 * (1 - calls / requests), 99, " %")

    def distinct(self):
        def fresh():
            return self.bodies.write("distinct", FREE, 1000 * self.args.seconds)

        ceiling = min(64, CONCURRENCY * BATCH) / LATENCY_S
        print(f"# distinct: {64 / LATENCY_S:.0f}/s is what 64 connections can ask at {LATENCY_S} s each; "
              f"{CONCURRENCY} requests of {BATCH} lines at a time allow {CONCURRENCY * BATCH / LATENCY_S:.0f}/s")
        with contextlib.ExitStack() as hold:
            model = hold.enter_context(self.with_model("model, 300 ms", "--latency-ms", str(int(1000 * LATENCY_S))))
            peer = self.peer(hold)
            sides = [peer, model] if peer else [model]
            for side in sides:
                side.warm_up(fresh(), 2)
            self.in_turn(sides, fresh)
            show("distinct", peer, model)
            for side in sides:
                side.tell()
        # The 64 requests under way when wrk leaves don't count: at this pace that is a twentieth of a run.
        self.goal("distinct: events/s", statistics.median(map(rate, model.runs)), 0.85 * ceiling)
        if peer:
            self.goal("distinct: times less CPU than seed_stack here", pairs(peer, model, cpu), 20)

    def peer(self, hold):
        """Returns seed_stack asking its own fake model, which is as slow as ours; None where it can't be had."""
        try:
            work = self.args.work / "peer"
            compare.prepare(work)
            stack = compare.Stack(work, None)
        except SystemExit as reason:
            print(f"#   without seed_stack: {reason}")
            return None
        mongod_pid = hold.enter_context(stack.database())
        base, fake_pid = hold.enter_context(gemini_of(stack))
        # Of its two clients this one uses less CPU.
        settings = {"SCORER": "gemini", "GEMINI_BASE": base, "HTTP_CLIENT": "aiohttp", "LAZY_TF": "1"}
        return Peer(stack, hold.enter_context(stack.serving(mongod_pid, settings)), fake_pid)

    def down(self):
        bodies = self.bodies.write("down", FREE, self.plenty())
        with self.without_model() as local, self.asking("model, down", f"http://127.0.0.1:{free_port()}") as model:
            local.warm_up(bodies, 2)
            model.warm_up(bodies, 2)
            self.in_turn([local, model], lambda: bodies)
            show("down", local, model)
            for side in (local, model):
                side.tell()
        self.goal("down: throughput as a share of that without a key", pairs(model, local, rate), 0.9)

    def faults(self):
        with self.with_model("model, 30 % faults", "--latency-ms", "50", "--fail-share", "0.3") as model:
            model.warm_up(self.bodies.write("faults", FREE, 1000), 1)
            self.in_turn([model], lambda: self.bodies.write("faults", FREE, self.plenty()))
            show("faults", None, model)
            model.tell()
        self.goal("faults: requests that failed", sum(run.failed for run in model.runs), 0, at_least=False)
        self.goal("faults: p99 of the worst run", max(run.p99_ms for run in model.runs), DEADLINE_MS + 100, " ms", at_least=False)
        self.goal("faults: longest answer", max(run.max_ms for run in model.runs), DEADLINE_MS + 100, " ms", at_least=False)


@contextlib.contextmanager
def fake_model(program, *flags):
    """Yields the fake model's URL and process id."""
    process = subprocess.Popen([program, *flags], stdout=subprocess.PIPE, text=True)
    try:
        announced = process.stdout.readline().split()
        if not announced:
            sys.exit(f"{program} did not start")
        yield announced[-1], process.pid
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def gemini_of(stack):
    """Runs the fake model that seed_stack brings along, as ours answers in another form; yields its URL and process id."""
    port = free_port()
    flags = ["--port", str(port), "--latency-ms", str(int(1000 * LATENCY_S))]
    process = subprocess.Popen([stack.python, stack.root / "stack" / "fake_gemini.py", *flags])
    try:
        while not answers(f"http://127.0.0.1:{port}/__stats"):
            if process.poll() is not None:
                sys.exit("seed_stack's fake model did not start")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(60)


def wrk_used_s():
    """CPU seconds of children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def machine_used_s():
    with open("/proc/stat", encoding="utf-8") as stat:
        user, nice, system, _, _, *interrupts = map(int, stat.readline().split()[1:9])
    return (user + nice + system + sum(interrupts)) / TICKS_PER_S


def rate(run):
    return run.requests / run.seconds


def cpu(run):
    return 1000 * run.cpu_s / run.requests


def pairs(ones, others, of):
    """Returns the median over rounds of how many times one side has what the other has."""
    return statistics.median(of(one) / max(of(other), 1e-6) for one, other in zip(ones.runs, others.runs))


def show(part, beside, model):
    """Prints the medians of both sides and the median of the pairs' ratios."""
    names = [beside.name if beside else "", model.name]
    print(f"| {part + ': ' + str(len(model.runs)) + ' runs each':28} | {names[0]:>13} | {names[1]:>18} | {'ratio':>7} |")
    print(f"|{'-' * 30}|{'-' * 14}:|{'-' * 19}:|{'-' * 8}:|")
    figures = [
        ("requests/s", rate), ("CPU s per 1,000", cpu), ("p50, ms", lambda run: run.p50_ms),
        ("p99, ms", lambda run: run.p99_ms), ("longest, ms", lambda run: run.max_ms),
    ]
    for name, of in figures:
        cells = [f"{statistics.median(map(of, side.runs)):,.4g}" if side else "" for side in (beside, model)]
        ratio = f"{pairs(model, beside, of):.3f}" if beside else ""
        print(f"| {name:28} | {cells[0]:>13} | {cells[1]:>18} | {ratio:>7} |", flush=True)
    for side in filter(None, (beside, model)):
        rates, foreign = list(map(rate, side.runs)), statistics.median(side.foreign_cores)
        print(f"#   {side.name}: {min(rates):,.0f} to {max(rates):,.0f} requests/s, others used {foreign:.2f} cores")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="BINARY", type=pathlib.Path)
    parser.add_argument("fake_model", metavar="FAKE_MODEL", type=pathlib.Path)
    parser.add_argument("parts", metavar="PART", nargs="*", choices=[*PARTS, []], help="all by default")
    parser.add_argument("--seconds", type=int, default=6, help="of each run")
    parser.add_argument("--rounds", type=int, default=5, help="in each, every side is loaded once")
    parser.add_argument("--work", type=pathlib.Path, default=WORK, help="where data goes: a real disk, not memory (%(default)s)")
    args = parser.parse_intermixed_args()
    if not shutil.which("wrk"):
        parser.error("wrk is not installed")
    args.binary, args.fake_model, args.work = args.binary.resolve(), args.fake_model.resolve(), args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)

    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores; ratios are medians over {args.rounds} rounds")
    bench = Bench(args)
    for part in args.parts or PARTS:
        getattr(bench, part)()
    print("\n".join(bench.goals))


if __name__ == "__main__":
    main()
