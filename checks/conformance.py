#!/usr/bin/env python3
"""Asks schemathesis whether the running server answers as its OpenAPI description says: no 5xx, nothing undescribed.

  conformance.py BINARY [--examples N]

Both modes are asked: `dev` as anybody, `serve` with an API key.
"""
import argparse
import json
import os
import subprocess
import sys
import urllib.request

from server import running


# What a schema can't say, so that a request within it may still be refused.
CONFIG = """
[parameters]
"path.username" = "{username}"

[[operations]]  # the buckets must cut the window into whole minutes
include-name = "GET /security/stats/{{username}}"
checks.positive_data_acceptance.enabled = false

[[operations]]  # nulls alone change nothing
include-name = "PATCH /security/user/update/{{username}}"
checks.positive_data_acceptance.enabled = false

[[operations]]  # random bytes are no table
include-name = "POST /audit/scan"
checks.positive_data_acceptance.enabled = false
"""


def ask(base, folder, username, examples, headers):
    config = os.path.join(folder, "schemathesis.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(username=username))
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", config,
        "run", f"{base}/openapi.json",
        "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--seed", "1", "--workers", "1",
        "--continue-on-failure", "--generation-database", "none", "--suppress-health-check", "all",
    ]
    for header in headers:
        command += ["--header", header]
    # It leaves a cache where it runs.
    return subprocess.run(command, check=False, cwd=folder).returncode


def sign_up(base, username):
    body = json.dumps({"username": username, "password": "a-Passw0rd"}).encode()
    request = urllib.request.Request(f"{base}/security/signup", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["api_key"]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("binary")
    args.add_argument("--examples", type=int, default=40)
    args = args.parse_args()

    failed = 0
    with running(args.binary) as (base, folder):
        failed += ask(base, folder, "admin", args.examples, [])
    with running(args.binary, "serve") as (base, folder):
        key = sign_up(base, "schemathesis")
        failed += ask(base, folder, "schemathesis", args.examples, [f"Authorization: Bearer {key}"])
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
