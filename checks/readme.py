#!/usr/bin/env python3
"""Runs every example of the README, in order, against a fresh server, and compares with the answers printed there.

  readme.py BINARY

A block marked `bash` or `python` is run as it stands (only the port differs). A `json` or `text` block right after it
is its answer. Ids, times and keys differ from run to run: they are compared by kind, and an id that an answer shows
stands for the one that the server gave when a later example uses it. Blocks with other marks are not run.
"""
import ast
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

from server import running

README = pathlib.Path(__file__).parent.parent / "README.md"
BASE = "http://127.0.0.1:8000"
CHANGING = {"id", "log_id", "api_key", "created_at", "received_at", "timestamp", "generated_at", "resolved_at",
            "duration_ms", "rule_set", "request_id"}
# Which bucket an event falls into depends on the minute; the sum does not.
SUMMED = {"counts", "threats"}
UNORDERED = {"risks", "max_scores"}


def blocks(text):
    """Yields (mark, content, line) of each fenced block."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield found.group(1), found.group(2), text.count("\n", 0, found.start()) + 1


def run(mark, code, folder):
    command = ["bash", "-euo", "pipefail", "-c", code] if mark == "bash" else [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def compare(shown, real, ids, path="answer"):
    if isinstance(shown, dict) and isinstance(real, dict):
        assert shown.keys() == real.keys(), f"{path} has {sorted(real)}, the README shows {sorted(shown)}"
        for key, value in shown.items():
            where = f"{path}.{key}"
            if key in CHANGING and not isinstance(value, (dict, list)):
                assert type(value) is type(real[key]), f"{where} is {real[key]!r}, the README shows {value!r}"
                ids[str(value)] = str(real[key])
            elif key in SUMMED and all(isinstance(v, int) for v in value):
                assert sum(value) == sum(real[key]), f"{where} is {real[key]}, the README shows {value}"
            elif key in UNORDERED:
                assert sorted(map(str, value)) == sorted(map(str, real[key])), f"{where} is {real[key]}, the README shows {value}"
            else:
                compare(value, real[key], ids, where)
    elif isinstance(shown, list) and isinstance(real, list):
        assert len(shown) == len(real), f"{path} has {len(real)} entries, the README shows {len(shown)}"
        for position, (one, other) in enumerate(zip(shown, real)):
            compare(one, other, ids, f"{path}[{position}]")
    elif isinstance(shown, float) and isinstance(real, float):
        # Processors round the last digits differently.
        assert math.isclose(shown, real, rel_tol=1e-3), f"{path} is {real!r}, the README shows {shown!r}"
    else:
        assert shown == real, f"{path} is {real!r}, the README shows {shown!r}"


def literal(text):
    """Returns what a printed Python value stands for, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def check(binary):
    found = list(blocks(README.read_text(encoding="utf-8")))
    failed = passed = 0
    with running(binary) as (base, _), tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(binary).resolve().parent
        ids = {}
        for (mark, code, line), following in zip(found, found[1:] + [("", "", 0)]):
            if mark not in ("bash", "python"):
                continue
            for shown, real in ids.items():
                code = code.replace(shown, real)
            code = code.replace(BASE, base)
            if mark == "bash":
                code = f"export PATH='{path}':$PATH\n{code}"
            try:
                answer = run(mark, code, folder)
                if following[0] == "json":
                    compare(json.loads(following[1]), json.loads(answer), ids)
                elif following[0] == "text":
                    compare(literal(following[1].strip()), literal(answer), ids)
                passed += 1
            except (AssertionError, ValueError, subprocess.TimeoutExpired) as problem:
                failed += 1
                print(f"README.md line {line}: {problem}", file=sys.stderr)
    print(f"README examples: {passed} passed, {failed} failed")
    if failed or not passed:
        sys.exit(1)


if __name__ == "__main__":
    check(sys.argv[1])
