"""Serves a WSGI application at a URL on loopback until killed: `serve.py NAME ROOT URL`.

The module *NAME* in *ROOT* defines the `application`. It is served below the path of *URL* only, so
that a service that answers there is the one that was started, not another one on the same port.
Everything else goes to the module's `public` application, or is not found.
"""

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from exchange import NOT_FOUND, wsgi


def main(name: str, root: str, url: str) -> None:
    sys.path.insert(0, root)
    module = import_module(name)
    parts = urlsplit(url)
    server = _bound(name, parts.port)
    public = getattr(module, "public", wsgi(lambda _: NOT_FOUND))
    server.set_app(_below(parts.path, module.application, public))
    _announce(name)
    server.serve_forever()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_port = False

    def server_bind(self) -> None:
        # Not the method of WSGIServer, which resolves the host name: that can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]
        self.setup_environ()


def _bound(name: str, port: int | None) -> _Server:
    try:
        return _Server(("127.0.0.1", port or 0), WSGIRequestHandler)
    except OSError as error:
        sys.exit(
            f"port {port} is taken by another program: {error}; "
            f"stop that, or give {name} another port in settings.toml"
        )


def _below(prefix: str, private: WSGIApplication, public: WSGIApplication) -> WSGIApplication:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(f"{prefix}/"):
            return public(environ, start_response)
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = prefix, path.removeprefix(prefix)
        if environ["PATH_INFO"] == "/-/pid":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(os.getpid()).encode()]
        return private(environ, start_response)

    return application


def _announce(name: str) -> None:
    # Renamed into place: once the file exists, the service is up.
    unfinished = Path(f"{name}.pid.new")
    unfinished.write_text(f"{os.getpid()}\n")
    unfinished.replace(f"{name}.pid")


if __name__ == "__main__":
    main(*sys.argv[1:])
