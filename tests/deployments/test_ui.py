"""`make ui` does not deploy into a server that is somebody else's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_server_that_answers_already_is_left_alone(tmp_path: Path) -> None:
    for folder in ("deployments", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "deployments/ui.sh", tmp_path / "deployments")
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    prefect = tmp_path / ".venv/bin/prefect"
    prefect.write_text(f"#!/bin/sh\necho $* >> {tmp_path}/called\n")
    prefect.chmod(0o755)
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            ["bash", str(tmp_path / "deployments/ui.sh")],
            env={**os.environ, "PORT": str(server.server_port)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        server.shutdown()
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"port {server.server_port} is in use by another Prefect server: end it, or choose a port: PORT=4201 make ui"
    ]
    assert not (tmp_path / "called").exists()
