"""A Hugging Face hub in miniature: enough of its protocol to pull a model, and to fail at it.

It speaks `GET /api/models/REPO/revision/REV` with and without file metadata, `GET …/tree/COMMIT` and
`GET|HEAD /REPO/resolve/COMMIT/FILE` with `Range`. What should go wrong is set as attributes of `Hub`.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """What a `HubServer` holds: `files` by name, those longer than 1 kB as kept by Git LFS."""

    repo: str
    files: dict[str, bytes]
    revisions: tuple[str, ...] = ("main", COMMIT)
    token: str = ""
    """Where set, every request must carry it."""
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """The next answers with this file break off after so many bytes of their body."""
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """The next answers to a request for this file, after its cuts, are these HTTP errors."""
    claimed_sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that the listing gives in place of the true ones."""
    damaged: dict[str, bytes] = field(default_factory=dict)
    """What is sent in place of the content that the listing describes."""
    redirects: bool = False
    """Send those who want a large file to another host, as the real hub does."""
    ignores_range: bool = False
    chunked: bool = False
    """Send bodies without saying how long they are."""
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path and headers (names in lower case) of every request."""

    def ranges(self, name: str) -> list[str]:
        """The `Range` header ("" where there was none) of every request for the bytes of `name`."""
        return [
            headers.get("range", "")
            for method, path, headers in self.requests
            if method == "GET" and path.endswith(f"/{name}") and "/resolve/" in path
        ]

    def listing(self) -> list[dict[str, Any]]:
        return [{"name": name, **self._metadata(name, content)} for name, content in self.files.items()]

    def _metadata(self, name: str, content: bytes) -> dict[str, Any]:
        git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        size = self.claimed_sizes.get(name, len(content))
        sha256 = hashlib.sha256(content).hexdigest() if len(content) > 1000 else None
        return {"git": git, "size": size, "sha256": sha256}


class HubServer:
    """Serves `hub`, which may be changed at any time, at `url` while the `with` block runs."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def __enter__(self) -> HubServer:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner: HubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms between its header and its body

    @property
    def hub(self) -> Hub:
        return self.owner.hub

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that has seen enough
            super().handle()

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        names = "|".join(map(re.escape, self.hub.files))
        self.hub.requests.append((self.command, path, headers))
        if path.startswith("/elsewhere/"):
            self._file(path.removeprefix("/elsewhere/"))
        elif self.hub.token and headers.get("authorization") != f"Bearer {self.hub.token}":
            self._error(401, "")
        elif not re.match(rf"(/api/models)?/{self.hub.repo}/", path):
            self._error(404, "RepoNotFound")
        elif match := re.fullmatch(r"/api/models/[^/]+/[^/]+/revision/(.+)", path):
            if match[1] in self.hub.revisions:
                self._json(self._info())
            else:
                self._error(404, "RevisionNotFound")
        elif re.fullmatch(rf"/api/models/[^/]+/[^/]+/tree/{COMMIT}", path):
            self._json([self._tree_entry(entry) for entry in self.hub.listing()])
        elif match := re.fullmatch(rf"/[^/]+/[^/]+/resolve/{COMMIT}/({names})", path):
            if self.hub.redirects and len(self.hub.files[match[1]]) > 1000:
                _host, port = cast("tuple[str, int]", self.server.server_address)
                self._body(302, b"", {"Location": f"http://localhost:{port}/elsewhere/{match[1]}"})
            else:
                self._file(match[1])
        else:
            self._error(404, "EntryNotFound")

    def _info(self) -> dict[str, Any]:
        siblings = [
            {"rfilename": entry["name"], "size": entry["size"], "blobId": entry["git"], **self._lfs(entry)}
            for entry in self.hub.listing()
        ]
        return {"id": self.hub.repo, "sha": COMMIT, "tags": [], "siblings": siblings}

    def _tree_entry(self, entry: dict[str, Any]) -> dict[str, Any]:
        lfs = self._lfs(entry)
        if lfs:
            lfs["lfs"]["oid"] = lfs["lfs"].pop("sha256")
        return {"type": "file", "path": entry["name"], "size": entry["size"], "oid": entry["git"], **lfs}

    def _lfs(self, entry: dict[str, Any]) -> dict[str, Any]:
        if not entry["sha256"]:
            return {}
        return {"lfs": {"sha256": entry["sha256"], "size": entry["size"], "pointerSize": 130}}

    def _file(self, name: str) -> None:
        content = self.hub.damaged.get(name, self.hub.files[name])
        entry = next(entry for entry in self.hub.listing() if entry["name"] == name)
        cut = None
        if self.command == "GET":
            cuts, statuses = self.hub.cuts.get(name, []), self.hub.statuses.get(name, [])
            if cuts:
                cut = cuts.pop(0)
            elif statuses:
                self._error(statuses.pop(0), "")
                return
        start = 0
        if (wanted := self.headers.get("Range")) and not self.hub.ignores_range:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self._error(416, "")
                return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.hub.chunked:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", f'"{entry["sha256"] or entry["git"]}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[start : len(content) if cut is None else start + cut])
        if cut is not None:
            self.connection.shutdown(socket.SHUT_WR)
        self.close_connection = self.hub.chunked or cut is not None

    def _json(self, value: Any) -> None:
        self._body(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str) -> None:
        self._body(status, b'{"error": "as asked"}', {"X-Error-Code": code} if code else {})

    def _body(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
