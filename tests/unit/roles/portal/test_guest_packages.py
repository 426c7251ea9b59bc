"""packages.sh in a router: what is missing is installed, and only that."""

from ansible_collections.multiverse.router_controller.tests.unit.roles.portal.sandbox import SCRIPTS, SMALL

INSTALLED = [("package", "dnsmasq", "installed"), ("package", "nftables", "installed")]


def test_what_is_missing_is_predicted_and_installed_once(router):
    before = router.snapshot()
    assert router.changes("packages.sh", "--check") == INSTALLED
    assert router.snapshot() == before
    assert router.changes("packages.sh") == INSTALLED
    assert sorted(path.name for path in (router.root / "run/apk").iterdir()) == ["dnsmasq", "nftables"]
    assert router.read("etc/apk/repositories") == SMALL["repositories"]
    assert router.read("etc/apk/keys/mirror.rsa.pub") == "a key\n"
    after = router.snapshot()
    assert router.changes("packages.sh") == [] == router.changes("packages.sh", "--check")
    assert router.snapshot() == after


def test_only_the_missing_one_is_asked_for(router):
    router.write("run/apk/nftables", "")
    assert router.changes("packages.sh") == INSTALLED[:1]


def test_without_keys_and_repositories_those_of_the_image_are_used(bare):
    bare.portal({"packages": "dnsmasq\n", "repositories": ""})
    bare.write("etc/apk/repositories", "of the image\n")
    assert bare.changes("packages.sh") == INSTALLED[:1]
    assert bare.read("etc/apk/repositories") == "of the image\n"


def test_a_failure_of_apk_has_its_line_and_words(router):
    router.write("run/broken/apk", "")
    report = router.run("packages.sh")
    (failure,) = report["failed"]
    lines = (SCRIPTS / "packages.sh").read_text().splitlines()
    assert lines[failure["line"] - 1].strip().startswith("apk add")
    assert failure["message"].startswith("apk add") and failure["message"].endswith("dnsmasq nftables")
    assert failure["output"] == "ERROR: unable to select packages"
    assert report["changed"] == []
    (router.root / "run/broken/apk").unlink()
    assert router.changes("packages.sh") == INSTALLED
