# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with an inventory, where, and what to do about it.

Nothing here raises or grows with its input: the values shown come from anybody's YAML and may be of any type, depth
and size.
"""

import datetime
import json
import math
import re
from typing import Any, List, NamedTuple

LONGEST_SHOWN = 80
KINDS = (
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "text"),
    (dict, "a mapping"),
    ((list, tuple), "a list"),
    ((bytes, bytearray), "binary data"),
    (datetime.date, "a date"),
    (type(None), "null"),
)


class _Wrong:
    """Stands for a value that was refused: its problem has been noted, nobody should look at it again."""

    def __repr__(self) -> str:
        return "WRONG"


class _Hidden:
    """Stands for a value that must not be shown, such as a key."""


WRONG = _Wrong()
HIDDEN = _Hidden()


class Problem(NamedTuple):
    """One thing that is wrong. All five are plain text; `field` and `value` may be empty."""

    object: str
    field: str
    value: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        subject = ", ".join(filter(None, (self.object, self.field)))
        return f"{subject}: {' '.join(filter(None, (self.value, self.rule)))}; {self.remedy}"


class Place:
    """A place in the inventory: the object, the field inside it, and the list where its problems are noted."""

    def __init__(self, problems: List[Problem], name: str, field: str = "") -> None:
        self.problems = problems
        self.name = name
        self.field = field

    def key(self, key: str) -> "Place":
        """The place of a key in this one: `dhcp` -> `dhcp.first`."""
        return Place(self.problems, self.name, f"{self.field}.{key}" if self.field else key)

    def item(self, index: int) -> "Place":
        """The place of a list's item: `links` -> `links[0]`; of a whole variable's, an object of its own."""
        if self.field:
            return Place(self.problems, self.name, f"{self.field}[{index}]")
        return Place(self.problems, f"{self.name}[{index}]")

    def wrong(self, value: Any, rule: str, remedy: str) -> _Wrong:
        """Notes that `value`, here, breaks `rule`. Returns WRONG, so that a reader can return this call."""
        self.problems.append(Problem(self.name, self.field, show(value), rule, remedy))
        return WRONG

    def missing(self, rule: str, remedy: str) -> _Wrong:
        """Notes that something which should be here is not."""
        self.problems.append(Problem(self.name, self.field, "", rule, remedy))
        return WRONG


def kind(value: Any) -> str:
    """What a user would call the type of a YAML value."""
    if any(parent.__name__ == "Undefined" for parent in type(value).__mro__):
        return "an undefined variable"
    for types, word in KINDS:
        if isinstance(value, types):
            return word
    return f"a value of type {type(value).__name__[:40]}"


def show(value: Any, depth: int = 2) -> str:
    """A value as one short line of ASCII: no control characters, no secrets, at most LONGEST_SHOWN characters or so."""
    if isinstance(value, _Hidden):
        return "(not shown)"
    if isinstance(value, str):
        text = json.dumps(str.__str__(value[:LONGEST_SHOWN]))
    elif isinstance(value, (bool, type(None))):
        text = json.dumps(value)
    elif isinstance(value, int):
        text = _show_whole(value)
    elif isinstance(value, float):
        text = float.__repr__(value) if math.isfinite(value) else _show_odd(value)
    elif isinstance(value, datetime.date):
        text = value.isoformat()
    elif isinstance(value, dict):
        text = _show_items((f"{show(key, 0)}: {show(item, depth - 1)}" for key, item in value.items()), "{}", depth)
    elif isinstance(value, (list, tuple)):
        text = _show_items((show(item, depth - 1) for item in value), "[]", depth)
    else:
        text = f"<{kind(value)}>"
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


def bare(key: Any) -> str:
    """A key as a field's name: unquoted where that is unambiguous."""
    if isinstance(key, str) and len(key) <= 40 and re.fullmatch(r"[A-Za-z0-9_.-]+", key):
        return str.__str__(key)
    return show(key)


def _show_whole(value: int) -> str:
    # Python refuses to print a number of more than 4300 digits.
    digits = int(value.bit_length() * math.log10(2))
    return int.__repr__(value) if digits < 40 else f"<a number of about {digits} digits>"


def _show_odd(value: float) -> str:
    # As YAML writes them.
    return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"


def _show_items(items: Any, brackets: str, depth: int) -> str:
    if depth <= 0:
        return brackets[0] + "..." + brackets[1]
    shown = []
    for item in items:
        shown.append(item)
        if sum(map(len, shown)) > LONGEST_SHOWN:
            break
    return brackets[0] + ", ".join(shown) + brackets[1]
