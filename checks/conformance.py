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

[[operations]]  # nor are they anything to learn from
include-name = "POST /audit/baselines"
checks.positive_data_acceptance.enabled = false

[[operations]]  # its answer never ends; tests/api/stream.rs asks it
include-name = "GET /security/stream/{{username}}"
enabled = false

[[operations]]  # a scan that is there
include-name = "GET /audit/scan/{{scan_id}}"
parameters = {{ "path.scan_id" = "{scan_id}" }}

[[operations]]
include-name = "GET /audit/scan/{{scan_id}}/threats"
parameters = {{ "path.scan_id" = "{scan_id}" }}

[[operations]]
include-name = "GET /audit/scan/{{scan_id}}/report"
parameters = {{ "path.scan_id" = "{scan_id}" }}
"""


def scan(base, headers):
    """Returns the id of a scan that is done, with flagged rows."""
    rows = "\n".join(f"{row % 97},{row * 37 % 1009},user{row % 7}" for row in range(400))
    body = f'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b,c\n{rows}\r\n--x--\r\n'
    headers = dict(header.split(": ", 1) for header in headers) | {"Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(f"{base}/audit/scan?top=200&limit=50", body.encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["id"]


def ask(base, folder, username, examples, headers):
    config = os.path.join(folder, "schemathesis.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(username=username, scan_id=scan(base, headers)))
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
