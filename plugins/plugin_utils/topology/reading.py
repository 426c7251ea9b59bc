# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a mapping, a list or a choice is read; what every value of the inventory is made of.

A *reader* is a function `(value, place) -> what was read`, or WRONG once it has noted at `place` what is wrong. It
takes any value whatsoever, never raises, and returns plain Python values only: subclasses of str and int (ansible-core
2.19 tags its values that way) end here.
"""

import difflib
import re
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from .problems import HIDDEN, WRONG, Place, bare, kind

MOST_ITEMS = 256  # of a list; far above any real topology, and keeps hostile ones cheap
MOST_KEYS = 32  # of a mapping; the same
LONGEST_TEXT = 1024  # characters

Reader = Callable[[Any, Place], Any]


class Key(NamedTuple):
    """A key of a mapping. Not written, or null, it has its default; `example` completes "write it, e.g. ..."."""

    read: Reader
    required: bool = False
    default: Any = None
    example: str = ""


class Fields:
    """What was read of a mapping: an attribute for each known key.

    A wrong one is None, as if not written, and its name is in `wrong`: so a rule needs no care, and a derivation can
    tell that it must not invent a value in place of the one the user has to mend.
    """

    def __init__(self, values: Dict[str, Any], wrong: Set[str]) -> None:
        self.__dict__.update(values)
        self.known = tuple(values)
        self.wrong = wrong

    def plain(self) -> Dict[str, Any]:
        """The keys and values as a dict, nested ones too."""
        return {key: plain(getattr(self, key)) for key in self.known}


def plain(value: Any) -> Any:
    """What readers made, as JSON-able values; addresses as text."""
    if isinstance(value, Fields):
        return value.plain()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def did_you_mean(value: Any, known: Iterable[str]) -> str:
    """A remedy for an unknown word: the nearest known one, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(value[:64].lower(), known, 1) if isinstance(value, str) else []
    if near:
        return f"did you mean {near[0]}?"
    return f"use one of: {', '.join(map(bare, known[:20])) or '(none)'}{', ...' if len(known) > 20 else ''}"


def string(value: Any, place: Place, remedy: str, longest: int = LONGEST_TEXT) -> Any:
    """Reads text of 1 to `longest` characters: the first step of everything that is written as text."""
    if not isinstance(value, str):
        return place.wrong(value, f"is {kind(value)}, not text", remedy)
    if not value:
        return place.wrong(value, "is empty", remedy)
    if len(value) > longest:
        return place.wrong(value, f"is {len(value)} characters long; at most {longest} are allowed", remedy)
    return str.__str__(value)


def choice(*allowed: str) -> Reader:
    """Reads one of a few words."""

    def read(value: Any, place: Place) -> Any:
        word = string(value, place, f"use one of: {', '.join(allowed)}")
        if word is WRONG or word in allowed:
            return word
        return place.wrong(word, "is not a possible value", did_you_mean(word, allowed))

    return read


def boolean(value: Any, place: Place) -> Any:
    """Reads true or false; not "yes", not 1."""
    if isinstance(value, bool):
        return value
    return place.wrong(value, f"is {kind(value)}, not true or false", "write true or false, without quotes")


def whole(least: int, most: int, unit: str) -> Reader:
    """Reads a whole number of `unit`s within bounds."""

    def read(value: Any, place: Place) -> Any:
        remedy = f"write a whole number from {least} to {most} ({unit})"
        if isinstance(value, bool) or not isinstance(value, int):
            return place.wrong(value, "is not a whole number", remedy)
        if not least <= value <= most:
            return place.wrong(value, "is out of bounds", remedy)
        return int(value)

    return read


def sequence(read: Reader, unique: Optional[Callable[[Any], Any]] = None, unique_key: str = "") -> Reader:
    """Reads a list, item by item; a wrong one is None, so that the others can still be judged.

    Items are compared by `unique(item)`; a repeated one is noted at its `unique_key`.
    """

    def read_all(value: Any, place: Place) -> Any:
        items = listed(value, place)
        if items is WRONG:
            return WRONG
        done: List[Any] = []
        seen: Dict[Any, int] = {}
        for index, item in enumerate(items):
            at = place.item(index)
            one = read(item, at)
            done.append(None if one is WRONG else one)
            mark = None if one is WRONG or unique is None else unique(one)
            if mark is not None and seen.setdefault(mark, index) != index:
                at = at.key(unique_key) if unique_key else at
                at.wrong(mark, f"is already in {place.field or place.name}[{seen[mark]}]", "write it once")
        return done

    return read_all


def listed(value: Any, place: Place) -> Any:
    """The items of a list of bearable length, unread; WRONG for anything else."""
    if not isinstance(value, (list, tuple)):
        return place.wrong(value, f"is {kind(value)}, not a list", 'write one "- ..." line for each item, or []')
    if len(value) > MOST_ITEMS:
        return place.wrong(value, f"has {len(value)} items", f"write at most {MOST_ITEMS}")
    return list(value)


def record(keys: Dict[str, Key]) -> Reader:
    """Reads a mapping with these keys into Fields."""

    def read(value: Any, place: Place) -> Any:
        names = ", ".join(keys)
        if not isinstance(value, dict):
            return place.wrong(value, f"is {kind(value)}, not a mapping", f"write a mapping with these keys: {names}")
        if len(value) > MOST_KEYS:
            return place.wrong(value, f"has {len(value)} keys", f"write these only: {names}")
        _refuse_unknown(value, keys, place)
        values, wrong = {}, set()
        for name, key in keys.items():
            values[name], right = _read_key(value.get(name), key, place.key(name))
            if not right:
                wrong.add(name)
        return Fields(values, wrong)

    return read


def _read_key(value: Any, key: Key, place: Place) -> Tuple[Any, bool]:
    if value is not None:
        done = key.read(value, place)
        return (None, False) if done is WRONG else (done, not (isinstance(done, Fields) and done.wrong))
    if key.required:
        place.missing("is missing", f"write it, e.g. {key.example}" if key.example else "write it")
        return None, False
    default = key.default
    return (list(default) if isinstance(default, list) else default), True


def _refuse_unknown(value: Dict[Any, Any], keys: Dict[str, Key], place: Place) -> None:
    for name in value:
        if not (isinstance(name, str) and name in keys):
            # It may be a secret under a mistyped key.
            secret = isinstance(name, str) and re.search("pass|secret|key|token", name[:64].lower())
            given = HIDDEN if secret else value[name]
            place.key(bare(name)).wrong(given, "is given to an unknown key", did_you_mean(name, keys))
