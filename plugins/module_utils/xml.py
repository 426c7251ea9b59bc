# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small helpers on xml.etree for libvirt's XML, and the mark by which we know our own objects.

The codecs edit the XML that libvirt has instead of writing a new one: what we don't declare (UUIDs, addresses libvirt
chose, elements a person added) stays as it is.
"""

from xml.etree import ElementTree

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

#: The XML namespace of our mark. It identifies; nothing is served there.
NAMESPACE = "https://multiverse/router_controller/1"
_MARK = "{%s}object" % NAMESPACE

ElementTree.register_namespace("multiverse", NAMESPACE)


def parse(text, what):
    """The root element of an XML text; ``what`` names it in the MultiverseError raised for a broken one."""
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise MultiverseError("%s is not valid XML: %s. Its text begins with %r." % (what, error, text[:80])) from None


def to_text(root):
    """The XML text libvirt takes."""
    return ElementTree.tostring(root, encoding="unicode")


def ensure(parent, path):
    """The first element at ``path`` ("devices/emulator") below parent; what is missing on the way is made."""
    for tag in path.split("/"):
        found = parent.find(tag)
        parent = ElementTree.SubElement(parent, tag) if found is None else found
    return parent


def new(tag, **attributes):
    """An element of its own with these attributes; those that are None are left out."""
    element = ElementTree.Element(tag)
    set_attributes(element, **attributes)
    return element


def add(parent, tag, **attributes):
    """A new last child with these attributes; those that are None are left out."""
    child = new(tag, **attributes)
    parent.append(child)
    return child


def remove(parent, tag):
    """Remove every child of this tag."""
    for child in parent.findall(tag):
        parent.remove(child)


def set_attributes(element, **attributes):
    """Set attributes in the order of their names; None removes one."""
    for name, value in sorted(attributes.items()):
        if value is None:
            element.attrib.pop(name, None)
        else:
            element.set(name, str(value))


def attribute(element, path, name):
    """An attribute of the first element at ``path``, or None when either is missing."""
    found = element.find(path)
    return None if found is None else found.get(name)


def mark(root, kind, **attributes):
    """Put our mark on an object: ``<metadata><multiverse:object kind=.../></metadata>``; other metadata stays."""
    metadata = ensure(root, "metadata")
    remove(metadata, _MARK)
    add(metadata, _MARK, kind=kind, **attributes)


def read_mark(root):
    """The attributes of our mark ({"kind": ...}), or None when the object is not ours."""
    found = root.find("metadata/" + _MARK)
    return None if found is None else dict(found.attrib)
