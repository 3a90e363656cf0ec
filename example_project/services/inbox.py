"""Stores the message that is PUT at `/messages/NAME`, and returns it on GET."""

from http import HTTPStatus

from exchange import NOT_FOUND, Answer, Request, wsgi

messages: dict[str, bytes] = {}


@wsgi
def application(request: Request) -> Answer:
    match request.method, request.path.strip("/").split("/"):
        case "PUT", ["messages", name]:
            messages[name] = request.body
            return Answer(status=HTTPStatus.CREATED)
        case "GET", ["messages", name] if name in messages:
            return Answer(body=messages[name])
    return NOT_FOUND
