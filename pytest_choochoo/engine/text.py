"""Strings as `repr` shows them, equal in all versions of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

# The characters that were added to Unicode from version 14, that of Python 3.11, to version 18,
# with what lies between them: Python 3.11 escapes them in `repr`, and later versions show them.
# A test has the digest of all characters; where it fails in a newer version, ranges are missing.
_ADDED = (
    "558 58b-58c 5c8-5c9 88f-897 b53-b54 c5c cdc cf3 ece 1acf-1af0 1b4e-1b4f 1b7f "
    "1c89-1c8a 208f 209d-209f 20c1-20c4 2427-2429 2b96 2e60-2e63 2ffc-2fff 31e4-31ef "
    "a7cb-a7cf a7d2 a7d4 a7da-a7f1 ab6c-ab6d fbc3-fbd2 fd90-fd91 fdc8-fdce 105c0-105f3 "
    "107bb-107bf 10940-10959 10d40-10d8f 10ec2-10eff 1123f-11241 11380-113e2 116d0-116e3 "
    "11b00-11bf9 11db0-11df1 11f00-11f5a 1246f 12475-1247f 12550-12686 1342f-143fa "
    "16100-16139 16d40-16d79 16ea0-16ed3 16ff2-16ff6 187f8-187ff 18cd6-18cff 18d09-191d2 "
    "1b123-1b132 1b155 1b168 1cc00-1cefd 1d127-1d128 1d1eb-1d1ff 1d250-1d2d3 1d6a6 "
    "1db00-1db1c 1df1f-1dfff 1e030-1e08f 1e4d0-1e6ff 1f1ae 1f6d8-1f6dc 1f774-1f77f "
    "1f7d9-1f7db 1f7f1-1f7ff 1f8b2-1f8d8 1fa54-1fa57 1fa75-1fa77 1fa87-1fa8f 1faad-1faaf "
    "1fabb-1fabf 1fac6-1facf 1fada-1fadf 1fae8-1faef 1faf7-1fafa 1fbcb-1fbef 1fbfa "
    "2b739-2b73f 2b81e 2cea2-2cead 2ebf0-2ee5d 31350-3fc3f"
)
_ESCAPE = re.compile(r"\\U([0-9a-f]{8})|\\u([0-9a-f]{4})")


def stable_repr(value: object) -> str:
    """Return `repr` of *value* as Python 3.11 has it."""
    shown = repr(value)
    return shown if shown.isascii() else _added().sub(_escaped, shown)


def reprs(value: object) -> Iterator[str]:
    """Yield `repr` of *value* as this version of Python has it, and as others may have it."""
    shown = repr(value)
    yield shown
    yield stable_repr(value)
    yield _ESCAPE.sub(_unescaped, shown)


@cache
def _added() -> re.Pattern[str]:
    """Return a pattern for one of the characters `_ADDED`."""
    ends = (each.partition("-") for each in _ADDED.split())
    ranges = (f"{chr(int(one, 16))}-{chr(int(other or one, 16))}" for one, _, other in ends)
    return re.compile(f"[{''.join(ranges)}]")


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\U{number:08x}" if number > 0xFFFF else f"\\u{number:04x}"


def _unescaped(found: re.Match[str]) -> str:
    number = int(found[1] or found[2], 16)
    is_added = number < 0x110000 and _added().match(chr(number))
    return chr(number) if is_added else found[0]
