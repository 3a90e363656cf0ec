"""A reverse proxy, which routes each domain to its backend.

`public` serves the domains, and `application` administers them: `PUT /domains/NAME` allocates a
domain, `PUT /domains/NAME/backend` attaches the URL in the body, `DELETE` undoes either, and
`GET /domains/NAME` returns the backend.
"""

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit
from wsgiref.util import is_hop_by_hop

from exchange import NOT_FOUND, Answer, Request, wsgi

backends: dict[str, str | None] = {}


@wsgi
def application(request: Request) -> Answer:
    match request.method, request.path.strip("/").split("/"):
        case "GET", ["domains", domain] if domain in backends:
            return Answer(body=(backends[domain] or "").encode())
        case "PUT", ["domains", domain]:
            backends.setdefault(domain, None)
        case "DELETE", ["domains", domain]:
            backends.pop(domain, None)
        case "PUT", ["domains", domain, "backend"] if domain in backends:
            backends[domain] = request.body.decode()
        case "DELETE", ["domains", domain, "backend"] if domain in backends:
            backends[domain] = None
        case _:
            return NOT_FOUND
    return Answer(status=HTTPStatus.NO_CONTENT)


@wsgi
def public(request: Request) -> Answer:
    domain = request.headers.get("Host", "").partition(":")[0]
    if domain not in backends:
        return NOT_FOUND
    backend = backends[domain]
    if backend is None:
        return Answer(
            status=HTTPStatus.SERVICE_UNAVAILABLE, body=b"nothing is attached to this domain"
        )
    try:
        return _forwarded(request, backend)
    except (OSError, HTTPException) as error:
        return Answer(
            status=HTTPStatus.BAD_GATEWAY, body=f"the backend does not answer: {error}".encode()
        )


def _forwarded(request: Request, backend: str) -> Answer:
    parts = urlsplit(backend)
    connection = HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(
            request.method,
            f"{parts.path}{request.path}" + (f"?{request.query}" if request.query else ""),
            request.body,
            {name: value for name, value in request.headers.items() if not is_hop_by_hop(name)},
        )
        response = connection.getresponse()
        headers = {name: value for name, value in response.getheaders() if not is_hop_by_hop(name)}
        return Answer(status=response.status, headers=headers, body=response.read())
    finally:
        connection.close()
