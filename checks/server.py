"""Starts the built binary for the checks, on a free port and an empty data folder."""
import contextlib
import re
import subprocess
import tempfile
import threading


@contextlib.contextmanager
def running(binary, mode="dev"):
    """Yields (base URL, data folder) of a running `sentinelflow`; ends it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, mode, "--listen", "127.0.0.1:0", "--data", folder]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
        log = []
        try:
            yield _base(process, log), folder
            if process.poll() is not None:
                raise SystemExit("the server ended by itself:\n" + "".join(log))
        finally:
            process.terminate()
            process.wait(30)


def _base(process, log):
    for line in process.stderr:
        log.append(line)
        found = re.search(r"Listening on (http://[\d.:]+)", line)
        if found:
            threading.Thread(target=lambda: log.extend(process.stderr), daemon=True).start()
            return found.group(1)
    raise SystemExit("the server did not start:\n" + "".join(log))
