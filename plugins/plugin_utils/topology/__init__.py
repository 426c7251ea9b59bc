# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The topology: read, connect, derive, check, write out. Pure: no I/O, nothing raised, whatever it is given.

`problems` and `reading` say how things are read, `values` and `schema` what may be written, `model` and `derive` what
follows from it, `rules` what must hold; `universe` knows what the machine already has, `render` makes the result.
"""

from typing import Any, Dict, List, Optional, Tuple

from .derive import derive
from .problems import Problem
from .render import render
from .rules import check
from .schema import read


def build(raw: Any, universe: Any) -> Tuple[Optional[Dict[str, Any]], List[Problem]]:
    """Makes the topology out of the `multiverse_*` variables.

    raw: the variables without their prefix: networks, routers, pools, user, libvirt_uri, alpine, alpine_mirror.
    universe: what universe already has, as `universe.parse` returns it; {} when that is not known.
    Returns the topology and no problems, or None and all the problems there are.
    """
    problems: List[Problem] = []
    topology = read(raw, problems)
    derive(topology, universe)
    check(topology)
    return (None, problems) if problems else (render(topology), [])
