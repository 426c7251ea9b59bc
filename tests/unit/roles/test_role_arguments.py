"""Every role's argument_specs, defaults and README say the same."""

import re
from pathlib import Path

import pytest
import yaml

ROLES = sorted(path.parent.parent for path in (Path(__file__).parents[3] / "roles").glob("*/meta/argument_specs.yml"))
SHARED = re.compile(r"^{{ multiverse_\w+ \| default\((.*)\) }}$")  # a shared variable, and what holds without it


def read(path):
    return yaml.safe_load(path.read_text()) or {}


def effective(default):
    """What a default of a role means where no shared variable is set."""
    match = SHARED.match(default) if isinstance(default, str) else None
    if not match:
        return default
    return None if match.group(1) == "none" else yaml.safe_load(match.group(1))


def options(role):
    return read(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


@pytest.fixture(params=ROLES, ids=[role.name for role in ROLES])
def role(request):
    return request.param


def test_every_default_has_an_argument_with_the_same_default(role):
    declared = {name: option.get("default") for name, option in options(role).items()}
    defaults = read(role / "defaults/main.yml")
    assert set(declared) == set(defaults)
    for name, default in defaults.items():
        assert declared[name] in (default, effective(default)), name


def test_every_argument_starts_with_the_name_of_its_role_and_is_described(role):
    for name, option in options(role).items():
        assert name.startswith(role.name + "_")
        assert option["description"] and option["type"]


def test_the_readme_names_every_argument(role):
    if role.name not in ("packages", "storage", "network"):
        return
    readme = (role / "README.md").read_text()
    for name in options(role):
        assert "`%s`" % name in readme
    assert len(readme.splitlines()) <= 60
