"""The web server of the small internet: a page that says where the visitor came from, and static files.

Runs as a program of its own inside the internet namespace. Every request is one JSON line in the log.
"""

import argparse
import functools
import http.server
import json
import socket
import socketserver
import threading
import time
from typing import Any, Dict

ECHO_PORT = 7


class Log:
    """Appends one JSON object per line; several servers share one."""

    def __init__(self, path: str) -> None:
        self._stream = open(path, "a", buffering=1)

    def __call__(self, **fields: Any) -> None:
        self._stream.write(json.dumps(dict(fields, time=round(time.time(), 3)), sort_keys=True) + "\n")


def visit(client: str, host: str, path: str) -> Dict[str, str]:
    """What the page says: the visitor's address as the internet sees it, and what was asked for."""
    return {"client": client[len("::ffff:") :] if client.startswith("::ffff:") else client, "host": host, "path": path}


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every GET and POST with who asked."""

    protocol_version = "HTTP/1.1"
    log: Any = None

    def do_GET(self) -> None:
        """Answer, and drop a request's body unread."""
        seen = visit(self.client_address[0], self.headers.get("Host", ""), self.path)
        self.log(service="page", **seen)
        body = (json.dumps(seen) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_arguments: Any) -> None:
        """Not to stderr: `Log` has it."""


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves the files below one folder."""

    log: Any = None

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """One line per request."""
        self.log(service="files", client=self.client_address[0], path=self.path, code=int(code))

    def log_message(self, *_arguments: Any) -> None:
        """Not to stderr: `Log` has it."""


class Echo(socketserver.BaseRequestHandler):
    """Sends a datagram back with its sender's address in front."""

    log: Any = None

    def handle(self) -> None:
        """Answer one datagram."""
        data, connection = self.request
        self.log(service="echo", client=self.client_address[0])
        connection.sendto(("%s " % self.client_address[0]).encode() + data, self.client_address)


def serve(address: str, handler: Any) -> None:
    """Serve HTTP on port 80 of an address, in the background."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = type("Server", (http.server.ThreadingHTTPServer,), {"address_family": family})
    threading.Thread(target=kind((address, 80), handler).serve_forever).start()


def echo(address: str, handler: Any) -> None:
    """Serve the UDP echo (RFC 862's port) on an address, in the background."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = type("Server", (socketserver.ThreadingUDPServer,), {"address_family": family})
    threading.Thread(target=kind((address, ECHO_PORT), handler).serve_forever).start()


def main() -> None:
    """Start every server asked for; they run until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", required=True)
    parser.add_argument("--page", action="append", default=[], metavar="ADDRESS")
    parser.add_argument("--files", action="append", nargs=2, default=[], metavar=("ADDRESS", "FOLDER"))
    options = parser.parse_args()
    Page.log = Files.log = Echo.log = staticmethod(Log(options.log))
    for address in options.page:
        serve(address, Page)
        echo(address, Echo)
    for address, folder in options.files:
        serve(address, functools.partial(Files, directory=folder))


if __name__ == "__main__":
    main()
