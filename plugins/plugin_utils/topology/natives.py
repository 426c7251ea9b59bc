# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Ansible hands over, as plain Python: its text, numbers and containers may be subclasses with tags or secrets."""

from typing import Any, Dict

DEEPEST = 20
MOST = 100000


def natives(value: Any) -> Any:
    """A copy of a value made of exact built-in types; never raises.

    Vaulted text is decrypted. Whatever is too deep (recursive, too) or too much, or of no type that YAML has, stays as
    it is: the reader that meets it says so.
    """
    return _native(value, 0, {"left": MOST})


def _native(value: Any, depth: int, budget: Dict[str, int]) -> Any:
    budget["left"] -= 1
    if depth > DEEPEST or budget["left"] < 0:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, dict):
        return {_native(key, DEEPEST, budget): _native(item, depth + 1, budget) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_native(item, depth + 1, budget) for item in value]
    if type(value).__name__ in ("AnsibleVaultEncryptedUnicode", "EncryptedString"):
        return _decrypted(value)
    for exact in (float, int):
        if isinstance(value, exact) and not isinstance(value, bool):
            return exact(value)
    return value


def _decrypted(value: Any) -> Any:
    try:
        return str(value)
    except Exception:  # wrong or no vault secret: Ansible's own classes, different in each version
        return value
