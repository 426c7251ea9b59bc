"""Debian packages that lab hosts have fetched, kept for the next one: a host is thrown away, its downloads need not be.

A host gets hard links to them in apt's own cache; apt still checks each against the mirror's index.
"""

import os
from pathlib import Path
from typing import List

ARCHIVES = "var/cache/apt/archives"


def outdated(name: str, others: List[str]) -> List[str]:
    """Other versions of the same package (file names: name_version_architecture.deb)."""
    package, _version, architecture = name.rsplit("_", 2)
    return [
        other
        for other in others
        if other != name
        and other.startswith(package + "_")
        and other.rsplit("_", 2)[0] == package
        and other.rsplit("_", 2)[2] == architecture
    ]


def give(kept: Path, root: Path) -> None:
    """Link what is kept into a new host's root."""
    target = root / ARCHIVES
    target.mkdir(parents=True, exist_ok=True)
    for package in kept.glob("*.deb"):
        try:
            os.link(str(package), str(target / package.name))
        except FileNotFoundError:
            continue  # another lab has just replaced it by a newer version


def take(kept: Path, root: Path) -> None:
    """Keep what a host has fetched itself, in place of older versions of the same packages."""
    kept.mkdir(parents=True, exist_ok=True)
    for package in (root / ARCHIVES).glob("*.deb"):
        if package.stat().st_nlink > 1:
            continue  # it had this one from us
        os.replace(str(package), str(kept / package.name))
        for old in outdated(package.name, [other.name for other in kept.glob("*.deb")]):
            (kept / old).unlink(missing_ok=True)
