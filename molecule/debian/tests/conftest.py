"""Fixtures of the scenario: each lab host, once as testinfra sees it and once from outside."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))

from lab_host import LabHost  # noqa: E402


@pytest.fixture
def lab(host):
    """The lab around the host under test; testinfra hosts and labs have the same names."""
    return LabHost(host.backend.get_hostname())
