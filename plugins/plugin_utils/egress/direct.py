# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Egress `direct`: plain routing and NAT to the upstream gateway. It needs no settings."""

from typing import Any

KEYS = {}


def check(router: Any, topology: Any) -> None:
    """Has no rules of its own: every router has an upstream gateway."""
