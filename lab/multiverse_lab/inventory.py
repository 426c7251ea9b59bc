"""The Ansible inventory of a lab: one host, how to reach it, and where its Alpine mirror is."""

import json
import os
from pathlib import Path
from typing import Any, Dict, List

from . import host, internet
from .model import DEFAULT_NAME, Lab
from .run import write_atomic

ALPINE_RELEASE = "3.23"
NOT_PLAIN = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")  # no strings in YAML 1.1 unless in quotes


def to_yaml(value: Any, indent: int = 0) -> str:
    """Write nested dicts and lists as YAML; every scalar as JSON, which YAML reads."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join("%s%s:%s" % (pad, _key(key), _nested(item, indent)) for key, item in value.items())
    if isinstance(value, list) and value:
        return "".join("%s-%s" % (pad, _nested(item, indent)) for item in value)
    return pad + json.dumps(value) + "\n"


def _key(key: str) -> str:
    return json.dumps(key) if key in NOT_PLAIN else key


def _nested(value: Any, indent: int) -> str:
    if isinstance(value, (dict, list)) and value:
        return "\n" + to_yaml(value, indent + 1)
    return " " + json.dumps(value) + "\n"


def variables(lab: Lab, keys: List[Path]) -> Dict[str, Any]:
    """The host's variables. Host variables, since group_vars/all would win over group variables of this file."""
    result: Dict[str, Any] = {
        "ansible_host": lab.address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.directory / "ssh" / "id_ed25519"),
        "ansible_ssh_common_args": " ".join(host.ssh_options(lab)),
        "ansible_control_path_dir": str(lab.runtime / "ssh"),
        "ansible_python_interpreter": "/usr/bin/python3",
        "multiverse_alpine": {
            "release": ALPINE_RELEASE,
            "image": None,
            "sha512": None,
            "keys": [{"name": key.name, "content": key.read_text()} for key in keys],
        },
        "multiverse_alpine_mirror": internet.MIRROR_URL,
    }
    return result


def link(path: Path, target: str) -> None:
    """Make a symbolic link, atomically, unless it is there and right."""
    if path.is_symlink() and os.readlink(str(path)) == target:
        return
    temporary = path.with_name(".%s.%d" % (path.name, os.getpid()))
    os.symlink(target, str(temporary))
    os.replace(str(temporary), str(path))


def write(lab: Lab, uplink_only: bool) -> Path:
    """Write the inventory and return its path.

    Ansible looks for group_vars beside the path it was given, before it follows links: so they are linked
    beside both, and hold the reference topology.
    """
    values = variables(lab, internet.mirror_keys(lab.cache))
    if uplink_only:
        values = {key: value for key, value in values.items() if not key.startswith("multiverse_")}
    text = "# Written by `lab/lab up`; the topology comes from group_vars.\n" + to_yaml(
        {"universe": {"hosts": {lab.name: values}}}
    )
    path = lab.directory / "inventory.yml"
    write_atomic(path, text)
    link(lab.directory / "group_vars", "../../inventory/group_vars")
    if lab.name == DEFAULT_NAME:
        link(lab.directory.parent / "group_vars", "../inventory/group_vars")
        link(lab.directory.parent / "inventory.yml", "%s/inventory.yml" % lab.name)
        return lab.directory.parent / "inventory.yml"
    return path


def remove(lab: Lab) -> None:
    """Remove the links to a lab that is gone."""
    if lab.name == DEFAULT_NAME:
        for name in ("inventory.yml", "group_vars"):
            path = lab.directory.parent / name
            if path.is_symlink():
                path.unlink()
