"""The configuration of routerd: which routers there are, and where libvirt is."""

import json
import re
from collections import namedtuple

from .errors import MultiverseError

#: Names become file names and path segments of the API.
NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$")
MOUNT = re.compile(r"^/[A-Za-z0-9/._-]+$")

Router = namedtuple("Router", "name kind stage requires tag mount")
Config = namedtuple("Config", "connect_uri socket state_dir heartbeat routers")

DEFAULTS = {"socket": "/run/multiverse/admin.sock", "state_dir": "/var/lib/multiverse/runs", "heartbeat": 5}


def _router(number, entry):
    where = "routers[{0}]".format(number)
    if not isinstance(entry, dict):
        raise MultiverseError("{0}: {1!r} is not an object".format(where, entry))
    portal = entry.get("portal")
    if not isinstance(portal, dict):
        raise MultiverseError("{0}.portal: {1!r} is not an object".format(where, portal))
    name, mount, stage = entry.get("name"), portal.get("mount"), entry.get("stage")
    if not isinstance(name, str) or not NAME.match(name):
        raise MultiverseError("{0}.name: {1!r} is not a router name ({2})".format(where, name, NAME.pattern))
    if not isinstance(mount, str) or not MOUNT.match(mount) or ".." in mount:
        raise MultiverseError("{0}.portal.mount: {1!r} is not an absolute path".format(where, mount))
    if isinstance(stage, bool) or not isinstance(stage, int) or stage < 0:
        raise MultiverseError("{0}.stage: {1!r} is not a whole number from 0 on".format(where, stage))
    return Router(name, entry.get("kind"), stage, entry.get("requires"), portal.get("tag"), mount)


def parse(text):
    """The :class:`Config` in *text* (JSON).

    :raises MultiverseError: names the field that is wrong
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise MultiverseError("not JSON: {0}".format(error)) from error
    if not isinstance(data, dict) or not isinstance(data.get("routers"), list):
        raise MultiverseError("routers: an object with a list 'routers' is expected")
    merged = dict(DEFAULTS, **data)
    for key in ("connect_uri", "socket", "state_dir"):
        if not isinstance(merged.get(key), str) or not merged[key]:
            raise MultiverseError("{0}: {1!r} is not a text".format(key, merged.get(key)))
    beat = merged["heartbeat"]
    if isinstance(beat, str) and beat.isdigit():
        # Older Ansible renders every number as text.
        beat = int(beat)
    if isinstance(beat, bool) or not isinstance(beat, (int, float)) or not 0.05 <= beat <= 3600:
        raise MultiverseError("heartbeat: {0!r} is not a number of seconds from 0.05 to 3600".format(beat))
    routers = [_router(number, entry) for number, entry in enumerate(data["routers"])]
    names = [router.name for router in routers]
    for name in names:
        if names.count(name) > 1:
            raise MultiverseError("routers: {0!r} is there twice".format(name))
    return Config(merged["connect_uri"], merged["socket"], merged["state_dir"], beat, routers)


def load(path):
    """The :class:`Config` in the file *path*; errors name the file."""
    try:
        with open(path, encoding="utf-8") as stream:
            return parse(stream.read())
    except (OSError, UnicodeDecodeError, MultiverseError) as error:
        raise MultiverseError("{0}: {1}; run the role 'control' again".format(path, error)) from error
