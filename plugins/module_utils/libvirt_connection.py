# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The edge to libvirt: connections, lookups that return None, and errors a person can act on.

Everything that talks to libvirt takes an open connection, so one module call uses one.
"""

from contextlib import contextmanager

from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError

try:
    import libvirt
except ImportError:
    libvirt = None

DAEMON_HINT = (
    "Is its daemon running? For qemu:///system see systemctl status libvirtd, for the session systemctl status "
    "multiverse-libvirtd."
)


@contextmanager
def connect(uri, check_mode=False, warn=None):
    """An open libvirt connection, closed at the end of the block.

    Raises MultiverseError when python3-libvirt is missing or nobody answers at the URI. In check mode it yields None
    instead, in which every lookup finds nothing: the preview of a bare machine, where libvirt comes with the run
    itself. ``warn`` is then called with the reason.
    """
    try:
        connection = _open(uri)
    except MultiverseError as error:
        if not check_mode:
            raise
        if warn:
            warn("%s The preview takes it that libvirt has nothing yet." % error)
        connection = None
    try:
        yield connection
    finally:
        if connection is not None:
            connection.close()


def _open(uri):
    if libvirt is None:
        raise MultiverseError(
            "Python on this machine cannot import libvirt. Install the package python3-libvirt (role packages does)."
        )
    # libvirt prints every error on stderr before it raises it, which Ansible would show as output of the module.
    libvirt.registerErrorHandler(lambda context, error: None, None)
    with explained("connecting to libvirt at %s" % uri, DAEMON_HINT):
        return libvirt.open(uri)


@contextmanager
def explained(what, hint=""):
    """Turn a libvirtError of the block into a MultiverseError: ``what`` was tried, what libvirt said, what to do."""
    try:
        yield
    except libvirt.libvirtError as error:
        said = error.get_error_message() or str(error)
        raise MultiverseError("%s failed: %s%s%s" % (what, said.rstrip("."), ". " if hint else ".", hint)) from error


def find_network(connection, name):
    """The virNetwork of this name, or None."""
    return _find(connection, "networkLookupByName", name, "VIR_ERR_NO_NETWORK")


def find_pool(connection, name):
    """The virStoragePool of this name, or None."""
    return _find(connection, "storagePoolLookupByName", name, "VIR_ERR_NO_STORAGE_POOL")


def find_domain(connection, name):
    """The virDomain of this name, or None."""
    return _find(connection, "lookupByName", name, "VIR_ERR_NO_DOMAIN")


def _find(connection, lookup, name, missing):
    if connection is None:
        return None
    with explained("looking up %s in libvirt" % name):
        try:
            return getattr(connection, lookup)(name)
        except libvirt.libvirtError as error:
            if error.get_error_code() == getattr(libvirt, missing):
                return None
            raise
