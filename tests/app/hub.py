"""A replacement for the hub: it serves one repository, the files of a local folder, over HTTP as
huggingface_hub asks for them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0" * 40


@contextmanager
def served(repository: str, folder: Path) -> Iterator[str]:
    """Yield the server's address, which is valid inside the ``with`` block."""
    files = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked = self.path.split("?")[0]
            if asked.startswith(f"/api/models/{repository}/tree/"):
                self.answer(
                    json.dumps(
                        [
                            {"type": "file", "path": name, "size": path.stat().st_size, "oid": "0"}
                            for name, path in files.items()
                        ]
                    ).encode()
                )
            elif asked.startswith(f"/api/models/{repository}"):
                self.answer(
                    json.dumps(
                        {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
                    ).encode()
                )
            elif (name := asked.removeprefix(f"/{repository}/resolve/").partition("/")[2]) in files:
                self.answer(files[name].read_bytes())
            else:
                self.send_error(404)

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            for name, value in {
                "Content-Length": str(len(body)),
                "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
                "X-Repo-Commit": COMMIT,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
