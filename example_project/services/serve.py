"""Serves a WSGI application on loopback until killed: `serve.py NAME ROOT DIRECTORY PORT TOKEN`.

The module *NAME* in *ROOT* defines the `application`. It is served below `/TOKEN` only, so that a
service that answers there is the one that was started, not another one on the same port.
Everything else goes to the module's `public` application, or is not found.
"""

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from exchange import NOT_FOUND, wsgi


def main(name: str, root: str, directory: str, port: str, token: str) -> None:
    sys.path.insert(0, root)
    module = import_module(name)
    server = _bound(int(port))
    server.set_app(
        _below(token, module.application, getattr(module, "public", wsgi(lambda _: NOT_FOUND)))
    )
    _announce(f"http://127.0.0.1:{server.server_port}/{token}", Path(directory), name)
    server.serve_forever()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_port = False

    def server_bind(self) -> None:
        # Not the method of WSGIServer, which resolves the host name: that can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]
        self.setup_environ()


def _bound(port: int) -> _Server:
    try:
        return _Server(("127.0.0.1", port), WSGIRequestHandler)
    except OSError:  # another process has taken the port meanwhile
        return _Server(("127.0.0.1", 0), WSGIRequestHandler)


def _below(token: str, private: WSGIApplication, public: WSGIApplication) -> WSGIApplication:
    prefix = f"/{token}"

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


def _announce(url: str, directory: Path, name: str) -> None:
    directory.joinpath(f"{name}.pid").write_text(f"{os.getpid()}\n")
    # Renamed into place: once the file exists, the service is up.
    unfinished = directory / f"{name}.url.new"
    unfinished.write_text(url)
    unfinished.replace(directory / f"{name}.url")


if __name__ == "__main__":
    main(*sys.argv[1:])
