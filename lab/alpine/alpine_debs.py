"""Takes binaries and libraries out of Debian packages, without installing any of them on this machine."""

import collections
import pathlib
import re
import subprocess

from alpine_elf import needed

# Searched by Debian's loader without any configuration, and by nothing of Alpine's: musl looks in /lib and /usr/lib.
LIBRARY_DIRECTORY = "usr/lib/x86_64-linux-gnu"
LOADER = "lib64/ld-linux-x86-64.so.2"  # the path written in every binary of Debian's
# dlopen'ed, so no ELF file names it: glibc aborts in pthread_exit where it is missing.
ALWAYS = ("libc.so.6", "libgcc_s.so.1")
_SEARCH = (LIBRARY_DIRECTORY, "lib/x86_64-linux-gnu", "usr/lib64")
_LIBRARY_PACKAGE = re.compile(r"^(lib|zlib1g$)")


def apk_version(version):
    """``1:7.2+dfsg-7+deb12u18`` -> ``7.2-r0``: Debian's upstream version in apk's grammar."""
    upstream = version.split(":", 1)[-1]
    match = re.match(r"[0-9]+(\.[0-9]+)*", upstream)
    if not match:
        raise ValueError("Debian version {!r} does not begin with a number".format(version))
    return match.group(0) + "-r0"


def dependencies(control):
    """Names of the library packages in a Depends or Pre-Depends value; of alternatives, the first."""
    names = [part.split("|")[0].split("(")[0].split(":")[0].strip() for part in control.split(",")]
    return [name for name in names if _LIBRARY_PACKAGE.match(name)]


def file_names(uris):
    """File names in the output of ``apt-get download --print-uris``."""
    return [line.split()[1] for line in uris.splitlines() if line.startswith("'")]


class Pool:
    """Debian packages, downloaded to one folder and unpacked into another.

    downloads: folder kept between builds.  unpacked: folder of this build.
    """

    def __init__(self, downloads, unpacked):
        self.downloads = pathlib.Path(downloads)
        self.unpacked = pathlib.Path(unpacked)
        self.versions = {}  # Debian package -> Debian version

    def add(self, names):
        """Fetch packages and, generation by generation, the library packages they depend on."""
        missing = sorted(set(names) - set(self.versions))
        while missing:
            found = set()
            for path in self._download(missing):
                name, version, depends = self._unpack(path)
                self.versions[name] = version
                found.update(depends)
            missing = sorted(found - set(self.versions))

    def _download(self, names):
        command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download"]
        self.downloads.mkdir(parents=True, exist_ok=True)
        self.unpacked.mkdir(parents=True, exist_ok=True)
        try:
            # Asked in a folder without packages: apt-get names only what it would have to fetch.
            uris = subprocess.run(
                command + ["--print-uris"] + names,
                check=True,
                stdout=subprocess.PIPE,
                universal_newlines=True,
                cwd=str(self.unpacked),
            ).stdout
            subprocess.run(command + names, check=True, cwd=str(self.downloads))
        except subprocess.CalledProcessError as error:
            raise SystemExit("cannot download {}: {}; run `apt-get update`?".format(" ".join(names), error)) from None
        return [self.downloads / name for name in file_names(uris)]

    def _unpack(self, path):
        subprocess.run(["dpkg-deb", "-x", str(path), str(self.unpacked)], check=True)
        fields = subprocess.run(
            ["dpkg-deb", "-f", str(path), "Package", "Version", "Depends", "Pre-Depends"],
            check=True,
            stdout=subprocess.PIPE,
            universal_newlines=True,
        ).stdout
        values = dict(line.split(": ", 1) for line in fields.splitlines())
        depends = dependencies(values.get("Depends", "")) + dependencies(values.get("Pre-Depends", ""))
        return values["Package"], values["Version"], depends

    def path(self, name):
        """A file or directory of an unpacked package."""
        path = self.unpacked / name
        if not path.exists():
            raise SystemExit("no {} in the downloaded Debian packages; did Debian move it?".format(name))
        return path

    def library(self, soname):
        """The real file behind a library's name. A link out of the packages, to this machine's own file, is none."""
        for directory in _SEARCH:
            path = (self.unpacked / directory / soname).resolve()
            if path.is_file() and self.unpacked.resolve() in path.parents:
                return path
        raise SystemExit("no {} among {}; its package is no dependency of them".format(soname, sorted(self.versions)))

    def closure(self, paths):
        """Names of all libraries that files need, directly or through another library."""
        names = set()
        queue = list(paths)
        while queue:
            for name in needed(pathlib.Path(queue.pop()).read_bytes()):
                if name not in names:
                    names.add(name)
                    queue.append(self.library(name))
        return names


def share(closures):
    """Decide where each library goes.

    closures: package -> names of the libraries it needs.
    Returns (shared, own): names needed by two packages or more, and package -> names only it needs.
    """
    users = collections.Counter(name for names in closures.values() for name in names)
    shared = {name for name, count in users.items() if count > 1}
    return shared, {package: set(names) - shared for package, names in closures.items()}
