# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The types of egress: how a router sends its clients' traffic out. One file here is one type, named after it.

A type `foo` is the module `foo.py` with:

`KEYS`
    its keys next to `type`: a dict of name -> `topology.reading.Key`. The readers of `topology.reading` and
    `topology.values` are there to be used; what they return (addresses as text) is in the topology's `egress`.

`check(router, topology)`
    its own rules between keys and objects; called with `topology.model` objects once everything has been read, maybe
    with problems. Notes what is wrong with `router.place.key('egress').key(...).wrong(...)`, and returns nothing.

Nothing else knows the types by name: a new one is a new file.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import Dict


def available() -> Dict[str, ModuleType]:
    """The types there are, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names if not name.startswith("_")}
