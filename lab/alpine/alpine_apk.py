"""Runs the apk of the Alpine image on this machine, by the image's own loader: no chroot, no mount to leave behind."""

import pathlib
import shutil
import subprocess

KEY = "multiverse-lab.rsa"


class Apk:
    """apk-tools of an unpacked Alpine root filesystem.

    root: the unpacked filesystem.  keys: folder of the signing key, made on first use and kept.
    """

    def __init__(self, root, keys):
        self.root = pathlib.Path(root)
        self.keys = pathlib.Path(keys)
        self.private = self.keys / KEY
        self.public = self.keys / "public" / (KEY + ".pub")  # alone there: apk trusts a whole folder

    def ensure_key(self):
        """Make the signing key, once per cache. The private half never leaves ``keys``."""
        if not self.private.exists():
            self.public.parent.mkdir(parents=True, exist_ok=True)
            self.keys.chmod(0o700)
            fresh = self.keys / "new"
            _run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(fresh)])
            fresh.rename(self.private)
        _run(["openssl", "pkey", "-in", str(self.private), "-pubout", "-out", str(self.public)])

    def publish_key(self, directory):
        """Copy the public key into a folder of the mirror."""
        pathlib.Path(directory).mkdir(parents=True)
        shutil.copyfile(str(self.public), str(pathlib.Path(directory) / self.public.name))

    def make_package(self, info, tree, scripts, directory):
        """Build one signed package.

        info: metadata as apk names it (``name``, ``version``, ``depends`` ...), lists joined by spaces.
        tree: folder with the package's files.  scripts: type -> path.  directory: where the .apk goes.
        """
        target = pathlib.Path(directory) / "{name}-{version}.apk".format(**info)
        target.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["mkpkg", "--compression", "deflate:9", "--sign-key", str(self.private), "--files", str(tree)]
        for key, value in info.items():
            if value:
                arguments += ["--info", "{}:{}".format(key, value)]
        for kind, path in scripts.items():
            arguments += ["--script", "{}:{}".format(kind, path)]
        self.run(arguments + ["--output", str(target)])

    def make_index(self, directory):
        """Build the signed index of a folder of packages, under the name apk asks for by default."""
        packages = sorted(str(path) for path in pathlib.Path(directory).glob("*.apk"))
        self.run(
            [
                "mkndx",
                "--keys-dir",
                str(self.public.parent),
                "--sign-key",
                str(self.private),
                "--output",
                str(pathlib.Path(directory) / "APKINDEX.tar.gz"),
            ]
            + packages
        )

    def run(self, arguments):
        """Run apk against the unpacked root; its output appears only with its error."""
        loader = [str(self.root / "lib/ld-musl-x86_64.so.1"), "--library-path", "{0}/lib:{0}/usr/lib".format(self.root)]
        _run(loader + [str(self.root / "sbin/apk"), "--root", str(self.root)] + arguments)


def _run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode:
        raise SystemExit("{} failed:\n{}".format(" ".join(command), done.stdout))
