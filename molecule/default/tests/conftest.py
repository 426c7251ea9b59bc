"""Fixtures of the scenario: its lab host, once as testinfra sees it and once from outside."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))

from lab_host import LabHost  # noqa: E402

NAME = "m-default"


@pytest.fixture(scope="session")
def lab():
    return LabHost(NAME)
