"""`--cc-json FILE`: the facts of a session for machines, in the form of docs/json-schema.json."""

from __future__ import annotations

from pytest_choochoo.engine.ledger.record import to_text
from pytest_choochoo.reporting.document import Document


def render(document: Document) -> str:
    """Return *document* as JSON."""
    return to_text(document)
