"""A station is made from a function."""

from pytest_choochoo import station

upload_app = station("upload_app")  # error: mypy call-overload, pyright reportArgumentType
