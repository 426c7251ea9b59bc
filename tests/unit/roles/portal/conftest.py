"""Fixtures of the tests of what runs in routers."""

import pytest
from ansible_collections.multiverse.router_controller.tests.unit.roles.portal.sandbox import SMALL, Sandbox, make_bin


@pytest.fixture(scope="session")
def busybox_bin(tmp_path_factory):
    """A folder with busybox under all its names, and nothing else."""
    return make_bin(tmp_path_factory.mktemp("busybox") / "bin")


@pytest.fixture
def bare(tmp_path, busybox_bin):
    """A router as its image is, with an empty portal."""
    made = Sandbox(tmp_path / "root", busybox_bin)
    yield made
    made.close()


@pytest.fixture
def router(bare):
    """A router as its image is, and the portal of a small router."""
    bare.portal(SMALL)
    return bare


@pytest.fixture
def provisioned(router):
    """A router that is as its portal says."""
    router.changes("provision.sh")
    (router.root / "run/restarted").unlink()
    return router
