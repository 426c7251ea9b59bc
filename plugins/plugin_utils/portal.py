# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The portal folders: which files every router gets shared into it, rendered from the topology.

Templates mirror the portal: ``templates/base-files/etc/hostname.j2`` becomes ``base-files/etc/hostname``. An egress
type adds its own under ``templates/egress/TYPE/``, laid over the common ones.
"""

import base64
import os
from pathlib import Path

import jinja2

#: Folder (below the pool network-controller) that an image build gets as its portal.
BUILD_PORTAL = "build.portal.multiverse"
#: A portal is shared over 9p and sent in one module call: it is for configuration, not for data.
MAX_BASE_FILES = 16 * 1024 * 1024


class PortalError(Exception):
    """A portal that cannot be rendered; the message names router, file and what to do."""


class Portals:
    """Renders every portal of a topology from the files and templates of the roles `portal` and `routers`."""

    def __init__(self, portal_role, routers_role):
        self._files = Path(portal_role) / "files"
        self._templates = Path(portal_role) / "templates"
        self._image = Path(routers_role) / "files"
        self._jinja = jinja2.Environment(
            loader=jinja2.FileSystemLoader(str(self._templates)),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def router(self, router, topology, packages, base_files=None):
        """The entries (for module `files`) of one router's portal.

        :param packages: names of the apk packages every router has.
        :param base_files: folder on the controller whose files are added to base-files/, or None.
        :raises PortalError: for a file of ours that the user's base_files would replace, or that cannot be read.
        """
        portal = self._common(topology["alpine"], packages + router["packages"])
        portal.update(self._rendered(router, topology))
        if base_files:
            portal.update(_user_files(router["name"], Path(base_files), portal))
        return _entries(router["portal"]["path"], portal, [link["name"] for link in router["links"]])

    def build(self, topology, path):
        """The entries of the build portal at `path`: what turns a base image into a router's, but for the packages."""
        portal = self._common(topology["alpine"], [])
        del portal["packages"]
        # Read by nobody: as every file here it is part of an image's name, so a raised revision means another image.
        portal["revision"] = _text("{0}\n".format(topology["alpine"]["revision"]))
        for name in ("build", "runlevels"):
            portal[name] = _read(self._image / name)
        for file in _walk(self._image / "image"):
            portal["image/" + file.relative_to(self._image / "image").as_posix()] = _read(file)
        return _entries(path, portal, [])

    def _common(self, alpine, packages):
        portal = {name: _read(self._files / name) for name in ("lib.sh", "packages.sh")}
        portal["packages"] = _text(packages_list(packages))
        portal["repositories"] = _text("{0}/main\n{0}/community\n".format(branch_url(alpine)))
        for key in alpine["keys"]:
            portal["keys/" + key["name"]] = _text(key["content"].strip() + "\n")
        return portal

    def _rendered(self, router, topology):
        rendered = {"provision.sh": _read(self._files / "provision.sh")}
        layers = [Path(), Path("egress") / router["egress"]["type"]]
        for layer in layers:
            for file in _walk(self._templates / layer):
                name = file.relative_to(self._templates / layer)
                if layer == Path() and name.parts[0] == "egress":
                    continue
                template = self._jinja.get_template(file.relative_to(self._templates).as_posix())
                rendered[name.as_posix()[: -len(".j2")]] = _text(template.render(router=router, topology=topology))
        return rendered


def mounts(routers, host_share):
    """The mounts (for module `mounts`) that belong to the portals.

    A link is a bind mount: a symlink inside a share would be resolved by the guest. The share that the HOST gives to
    universe may be missing (`nofail`), as when universe's disk boots elsewhere.
    """
    found = [
        {
            "source": link["source"],
            "target": "{0}/{1}".format(router["portal"]["path"], link["name"]),
            "fstype": "none",
            "options": "bind,nofail",
        }
        for router in routers
        for link in router["links"]
    ]
    if host_share:
        found.append(
            {
                "source": host_share["tag"],
                "target": host_share["mount"],
                "fstype": "9p",
                "options": "trans=virtio,version=9p2000.L,posixacl,rw,cache=none,nofail",
            }
        )
    return found


def packages_list(packages):
    """The portal's file `packages`: one name a line, sorted, each once."""
    return "".join(name + "\n" for name in sorted(set(packages)))


def branch_url(alpine):
    """The release branch on the mirror that has the packages of this Alpine: MIRROR/vX.Y."""
    return "{0}/v{1}".format(alpine["mirror"], ".".join(alpine["release"].split(".")[:2]))


def _user_files(name, folder, portal):
    files = _walk(folder)
    if sum(file.stat().st_size for file in files) > MAX_BASE_FILES:
        raise PortalError(
            "router {0}: base_files {1} holds more than {2} MiB; share large folders as links".format(
                name, folder, MAX_BASE_FILES // 1024**2
            )
        )
    found = {}
    for file in files:
        target = "base-files/" + file.relative_to(folder).as_posix()
        if not target.isprintable():
            raise PortalError(
                "router {0}: base_files: the file name {1!r} has characters that cannot be printed; rename it".format(
                    name, target
                )
            )
        for ours in portal:
            if target == ours or target.startswith(ours + "/") or ours.startswith(target + "/"):
                raise PortalError(
                    "router {0}: base_files has {1}, in the way of {2}, a file that is derived from the "
                    "topology; remove {3}".format(name, target, ours, file)
                )
        found[target] = _read(file)
    return found


def _walk(folder):
    """Regular files below `folder`, sorted; links are refused, for what they point at is not what would be shared."""
    if not folder.is_dir():
        return []
    files = []
    for root, folders, names in os.walk(folder, onerror=_unreadable):
        folders.sort()
        for name in names + folders:
            path = Path(root) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise PortalError("{0} is no regular file; a portal holds plain files".format(path))
            if path.is_file():
                files.append(path)
    return sorted(files)


def _unreadable(error):
    raise PortalError("{0} cannot be read: {1}".format(error.filename, error.strerror)) from error


def _read(path):
    try:
        return path.read_bytes(), "0755" if os.access(path, os.X_OK) else "0644"
    except OSError as error:
        _unreadable(error)


def _text(text):
    return text.encode("utf-8"), "0644"


def _entries(path, portal, links):
    folders = (
        {path}
        | {path + "/" + link for link in links}
        | {"/".join([path] + name.split("/")[:depth]) for name in portal for depth in range(1, name.count("/") + 1)}
    )
    entries = [{"path": folder, "state": "directory", "mode": "0755"} for folder in sorted(folders)]
    for name, (content, mode) in sorted(portal.items()):
        entries.append(
            {
                "path": path + "/" + name,
                "state": "file",
                "mode": mode,
                "content_b64": base64.b64encode(content).decode("ascii"),
            }
        )
    return [dict(entry, owner="root", group="root") for entry in entries]
