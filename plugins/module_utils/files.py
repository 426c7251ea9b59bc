# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Declared files: what is wanted (normalize), how it differs from what is there (plan), and how that reads (diff).

Nothing here touches a disk: `file_converge` reads the current state and carries a plan out.
"""

import base64
import binascii
import posixpath
import re

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

STATES = ("file", "directory", "link", "absent")
HIDDEN = "<content hidden>\n"
LEFTOVER = re.compile(r"^\.multiverse-[0-9a-z_]{8}\.tmp$")
MAX_DIFF = 128 * 1024  # bytes of one file that a diff shows; longer ones are only named

# Folders of the distribution: emptying one would take the machine along, so none can be exclusive or absent.
_SHARED = re.compile(r"^/(|[^/]+|(usr|var|etc|home)/[^/]+|(usr/(local|lib|share)|var/(lib|cache|log|spool))/[^/]+)$")
_OURS = re.compile(r"^/(etc|usr/lib|usr/share|usr/local/lib|var/lib|var/cache|var/log)/[^/]*multiverse[^/]*$")
_MODE = re.compile(r"^[0-7]{4}$")


def normalize(files, exclusive=()):
    """Declared entries as `plan` wants them.

    :param files: list of dicts as in the documentation of the module `files`; absent and None mean the same
    :param exclusive: list of str, folders in which nothing undeclared may stay
    :return: list of dicts with every key present, content as bytes, mode as int, in an order safe to create
    :raises MultiverseError: naming every faulty entry at once
    """
    errors = []
    entries = []
    for number, raw in enumerate(files):
        entry, problems = _entry(raw)
        entries.append(entry)
        errors.extend("files[%d] %s: %s" % (number, raw.get("path"), text) for text in problems)
    errors.extend(_crosscheck(entries))
    for folder in exclusive:
        errors.extend("exclusive %s: %s" % (folder, text) for text in _path_problems(folder))
        if is_shared(folder):
            errors.append("exclusive %s: a folder of the system; only a folder of our own may be emptied" % folder)
    if errors:
        raise MultiverseError("; ".join(errors))
    return sorted(entries, key=lambda entry: entry["path"].split("/"))


def is_shared(path):
    """Whether `path` is a folder that belongs to the distribution or to everybody."""
    return bool(_SHARED.match(path)) and not _OURS.match(path)


def _path_problems(path):
    if not path.startswith("/"):
        return ["the path must be absolute"]
    if posixpath.normpath(path) != path or path.startswith("//"):
        return ["the path must be written plainly, without '..', '.', double or trailing slashes"]
    if re.search(r"[\x00-\x1f]", path):
        return ["the path holds a control character"]
    return []


def _entry(raw):
    state = raw.get("state") or "file"
    entry = {
        "path": raw["path"],
        "state": state,
        "target": raw.get("target"),
        "content": None,
        "owner": raw.get("owner"),
        "group": raw.get("group"),
        "mode": None,
        "lines": list(raw.get("lines") or ()),
        "lines_absent": list(raw.get("lines_absent") or ()),
        "dpkg_override": raw.get("dpkg_override"),
        "secret": bool(raw.get("secret")),
    }
    problems = _path_problems(raw["path"])
    if state not in STATES:
        problems.append("state is %r; it must be one of %s" % (state, ", ".join(STATES)))
    for read in (_read_content, _read_mode):
        try:
            entry.update(read(raw))
        except ValueError as error:
            problems.append(str(error))
    problems.extend(_state_problems(entry))
    return entry, problems


def _read_content(raw):
    text, encoded = raw.get("content"), raw.get("content_b64")
    if text is not None and encoded is not None:
        raise ValueError("content and content_b64 are both given; keep one")
    if text is not None:
        if not isinstance(text, str):
            raise ValueError(
                "content is a %s, not text; pass it through to_json, or give content_b64" % type(text).__name__
            )
        return {"content": text.encode("utf-8", "surrogateescape")}
    if encoded is None:
        return {}
    try:
        return {"content": base64.b64decode(encoded, validate=True)}
    except (binascii.Error, ValueError):
        raise ValueError("content_b64 is not valid base64; pass the bytes through b64encode") from None


def _read_mode(raw):
    mode = raw.get("mode")
    if mode is None:
        return {}
    if not _MODE.match(str(mode)):
        raise ValueError("mode is %r; write four octal digits in quotes, as in '0644'" % (mode,))
    return {"mode": int(str(mode), 8)}


def _state_problems(entry):
    problems = []
    state = entry["state"]
    if entry["content"] is not None and state != "file":
        problems.append("content goes with state file only, not with %s" % state)
    if (entry["lines"] or entry["lines_absent"]) and (state != "file" or entry["content"] is not None):
        problems.append("lines and lines_absent go with state file and without content")
    if any("\n" in line for line in entry["lines"] + entry["lines_absent"]):
        problems.append("an item of lines holds a line break; give one line an item")
    if set(entry["lines"]) & set(entry["lines_absent"]):
        problems.append("the same line is in lines and in lines_absent")
    if (entry["target"] is not None) != (state == "link"):
        problems.append("state link needs a target, and only it may have one")
    if state == "link" and entry["mode"] is not None:
        problems.append("a link has no mode of its own; leave it out")
    if entry["dpkg_override"] and (state != "file" or None in (entry["owner"], entry["group"], entry["mode"])):
        problems.append("dpkg_override needs state file, owner, group and mode: dpkg records all three")
    return problems


def _crosscheck(entries):
    """Rules between entries: one entry a path, and nothing below something that is no directory."""
    errors = []
    seen = {}
    for entry in entries:
        if entry["path"] in seen:
            errors.append("%s: declared twice; keep one entry" % entry["path"])
        seen[entry["path"]] = entry
    for entry in entries:
        above = _nearest(posixpath.dirname(entry["path"]), seen)
        if above is None or entry["state"] == "absent":
            continue
        if above["state"] != "directory":
            errors.append(
                "%s: declared below %s, whose state is %s; make that a directory"
                % (entry["path"], above["path"], above["state"])
            )
    return errors


def _nearest(path, seen):
    """The entry declared for `path` or the nearest folder above it, or None."""
    while path not in seen:
        if path == posixpath.dirname(path):
            return None
        path = posixpath.dirname(path)
    return seen[path]


def below(path, folders):
    """The folder among `folders` that `path` lies in (strictly), or None."""
    for folder in folders:
        if path.startswith(folder.rstrip("/") + "/"):
            return folder
    return None


def edit_lines(content, wanted, unwanted):
    """`content` (bytes) with every line of `wanted` and none of `unwanted`; the other lines stay as they are."""
    gone = set(line.encode("utf-8") for line in unwanted)
    lines = [line for line in content.splitlines(True) if line.strip() not in gone]
    present = set(line.strip() for line in lines)
    for line in wanted:
        raw = line.encode("utf-8")
        if raw.strip() in present:
            continue
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        lines.append(raw + b"\n")
        present.add(raw.strip())
    return b"".join(lines)


def plan(desired, current, exclusive=()):
    """What has to change.

    :param desired: result of `normalize`
    :param current: result of `file_converge.read_current`: {"entries": {path: facts}, "overrides": {path: (owner,
        group, mode)}, "leftovers": [path]}; facts: kind (file, directory, link, other, absent), content, target,
        owner, uid, group, gid, mode, mount (something is mounted there), inode
    :param exclusive: list of str
    :return: list of changes in the order to apply: {path, action, what, desired, before, after, ...}
    :raises MultiverseError: if something is in the way that must not be replaced
    """
    changes = [
        {"path": path, "action": "remove", "what": ["leftover"], "desired": None, "before": None, "after": None}
        for path in sorted(current["leftovers"])
    ]
    errors = []
    mounts = [path for path, facts in current["entries"].items() if facts["mount"] and below(path, exclusive)]
    for entry in desired:
        path = entry["path"]
        if path in mounts:
            continue  # what is mounted there belongs to the source of the mount, its owner and mode too
        if below(path, mounts):
            errors.append("%s: lies below a mount point inside an exclusive folder; unmount it first" % path)
            continue
        try:
            change = _change(entry, current["entries"][path], current["overrides"].get(path), below(path, exclusive))
        except ValueError as error:
            errors.append("%s: %s" % (path, error))
            continue
        if change:
            changes.append(change)
    if errors:
        raise MultiverseError("; ".join(errors))
    return changes + _undeclared(desired, current["entries"], exclusive, mounts)


def _undeclared(desired, entries, exclusive, mounts):
    """Removal of what lies undeclared in an exclusive folder, deepest first; mount points and the way to them stay."""
    kept = set()
    flat = [entry["path"] for entry in desired if entry["state"] != "directory"]  # what lies below goes with the change
    for path in [entry["path"] for entry in desired] + mounts:
        folder = below(path, exclusive)
        while folder and path != folder:  # folder lies on the way up, so this ends
            kept.add(path)
            path = posixpath.dirname(path)
    changes = []
    for path in sorted(entries, reverse=True):
        facts = entries[path]
        if facts["kind"] == "absent" or path in kept or not below(path, exclusive) or below(path, mounts):
            continue
        if not below(path, flat):
            changes.append(
                {
                    "path": path,
                    "action": "remove",
                    "what": ["undeclared"],
                    "desired": None,
                    "before": facts["content"],
                    "after": None,
                }
            )
    return changes


def _change(entry, facts, override, inside):
    """One change, or None. `inside`: the exclusive folder around the path, where anything may be replaced."""
    state = entry["state"]
    what = []
    if _override_differs(entry, override):
        what.append("dpkg_override")
    if state == "absent":
        if facts["kind"] == "directory" and is_shared(entry["path"]):
            raise ValueError("a folder of the system is not removed with all it holds; name the files to remove")
        if facts["kind"] != "absent":
            what.append("removed")
        return _result(entry, facts, "remove", what, None)
    replace = facts["kind"] not in ("absent", state)
    if replace:
        _may_replace(entry, facts, inside)
    content = _wanted_content(entry, facts)
    if facts["kind"] != state:
        what.append("created" if facts["kind"] == "absent" else "replaced")
    elif state == "file" and content is not None and content != facts["content"]:
        what.append("content")
    elif state == "link" and entry["target"] != facts["target"]:
        what.append("target")
    what.extend(_attributes(entry, facts))
    rewrite = content is not None and {"created", "replaced", "content"} & set(what)
    action = {"directory": "directory", "link": "link"}.get(state, "write" if rewrite else "attributes")
    return _result(entry, facts, action, what, content if rewrite else None)


def _result(entry, facts, action, what, content):
    if not what:
        return None
    return {
        "path": entry["path"],
        "action": action,
        "what": what,
        "desired": entry,
        "before": facts["content"],
        "after": content,
        "kind": facts["kind"],
        "attributes": describe(entry, facts),
        "inode": facts.get("inode"),
    }


def _may_replace(entry, facts, inside):
    """Outside an exclusive folder only a symlink gives way, and only to a file of known content or another link."""
    if inside:
        return
    if facts["kind"] == "link" and (entry["content"] is not None or entry["state"] == "link"):
        return
    advice = "declare the path that it points to, or remove it" if facts["kind"] == "link" else "move it away"
    raise ValueError(
        "a %s is wanted, but a %s is there, and it is not replaced; %s"
        % (entry["state"], {"other": "device, socket or pipe"}.get(facts["kind"], facts["kind"]), advice)
    )


def _wanted_content(entry, facts):
    if entry["content"] is not None or entry["state"] != "file":
        return entry["content"]
    if not entry["lines"] and not entry["lines_absent"]:
        return None
    if facts["kind"] == "absent" and not entry["lines"]:
        return None
    return edit_lines(facts["content"] or b"", entry["lines"], entry["lines_absent"])


def _attributes(entry, facts):
    """Names of the attributes that differ (all the declared ones where nothing is there yet)."""
    differs = []
    for name, number in (("owner", "uid"), ("group", "gid")):
        if entry[name] is not None and entry[name] not in (facts[name], str(facts[number])):
            differs.append(name)
    if entry["mode"] is not None and entry["mode"] != facts["mode"]:
        differs.append("mode")
    return differs


def _override_differs(entry, override):
    if entry["dpkg_override"] is None:
        return False
    if not entry["dpkg_override"]:
        return override is not None
    return override != (entry["owner"], entry["group"], entry["mode"])


def describe(entry, facts):
    """(before, after) lines on owner, group, mode and link target, of those that change."""
    before, after = [], []
    if entry["target"] != facts["target"]:
        before, after = (
            ["-> %s\n" % target] if target is not None else [] for target in (facts["target"], entry["target"])
        )
    for name in _attributes(entry, facts):
        shape = "%04o" if name == "mode" else "%s"
        if facts[name] is not None:
            before.append("%s: %s\n" % (name, shape % facts[name]))
        after.append("%s: %s\n" % (name, shape % entry[name]))
    return "".join(before), "".join(after)


def report(changes):
    """The changes as the module returns them: [{path, what}]."""
    return [{"path": change["path"], "what": change["what"]} for change in changes]


def diff(changes):
    """The changes as Ansible's list of {before, after, before_header, after_header}."""
    return [_diff_one(change) for change in changes]


def _diff_one(change):
    attributes = change.get("attributes") or ("", "")
    secret = bool(change["desired"] and change["desired"]["secret"])
    before = attributes[0] + _shown(change["before"], secret)
    after = attributes[1] + _shown(change["after"], secret)
    if change["action"] == "attributes":
        before = attributes[0]
    if secret and change["before"] is not None and change["after"] is not None:
        after += "<changed>\n"
    if before == after:  # nothing to show side by side: say what happens instead
        after += "%s\n" % ", ".join(change["what"])
    header = "%s (%s)" % (change["path"], ", ".join(change["what"]))
    return {"before": before, "after": after, "before_header": header, "after_header": header}


def _shown(content, secret):
    if content is None:
        return ""
    if secret:
        return HIDDEN
    if b"\x00" in content or len(content) > MAX_DIFF:
        return "<%d bytes, not shown>\n" % len(content)
    return content.decode("utf-8", "replace")


def redact(files):
    """The declared entries without their contents, for reports of the arguments."""
    return [
        {
            key: "<%d characters>" % len(str(value)) if key in ("content", "content_b64") and value else value
            for key, value in entry.items()
        }
        for entry in files
    ]
