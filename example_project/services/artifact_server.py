"""Stores what is PUT, returns it on GET; the ETag is the SHA-256 of the file on its disk."""

import re
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from exchange import NOT_FOUND, Answer, Request, wsgi

SHELF = Path.cwd() / "artifacts"


@wsgi
def application(request: Request) -> Answer:
    name = request.path.removeprefix("/")
    if not re.fullmatch(r"\w[\w.-]*", name):
        return NOT_FOUND
    artifact = SHELF / name
    match request.method:
        case "PUT":
            SHELF.mkdir(exist_ok=True)
            artifact.write_bytes(request.body)
            return Answer(status=HTTPStatus.CREATED)
        case "GET" | "HEAD" if artifact.exists():
            content = artifact.read_bytes()
            return Answer(headers={"ETag": f'"{sha256(content).hexdigest()}"'}, body=content)
    return NOT_FOUND
