"""Stores the messages that are POSTed to `/messages`; GET on its `Location` returns a message."""

from http import HTTPStatus
from itertools import count

from exchange import NOT_FOUND, Answer, Request, wsgi

messages: dict[str, bytes] = {}
numbers = count(1)


@wsgi
def application(request: Request) -> Answer:
    match request.method, request.path:
        case "POST", "/messages":
            path = f"/messages/{next(numbers)}"
            messages[path] = request.body
            return Answer(status=HTTPStatus.CREATED, headers={"Location": path})
        case "GET", path if path in messages:
            return Answer(body=messages[path])
    return NOT_FOUND
