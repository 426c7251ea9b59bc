"""The pool model and its XML codec."""

from xml.etree import ElementTree

import pytest
from ansible_collections.multiverse.router_controller.plugins.module_utils import pools
from ansible_collections.multiverse.router_controller.plugins.module_utils.errors import MultiverseError
from ansible_collections.multiverse.router_controller.plugins.module_utils.pools import (
    Current,
    Definition,
    Directory,
    from_declared,
    from_xml,
    plan,
    to_xml,
)
from hypothesis import given
from hypothesis import strategies as st

FOREIGN_UUID = "35bb2ad9-388a-cdfe-461a-b8907f6e53fe"
FOREIGN = """
<pool type="dir">
  <name>old</name>
  <uuid>35bb2ad9-388a-cdfe-461a-b8907f6e53fe</uuid>
  <features><cow state="no"/></features>
  <target><path>/old</path><permissions><mode>0711</mode></permissions></target>
</pool>
"""

names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
users = st.none() | st.sampled_from(["root", "multiverse"])
declared = st.builds(from_declared, names, paths, users, users, st.none() | st.sampled_from(["0750", "0700"]))


def converged(pool):
    definition = Definition(pool.name, pools.mark(pool.name), "dir", pool.path)
    return Current(definition, definition, Directory(pool.owner or "a", pool.group or "b", pool.mode or "0711"), True)


@pytest.mark.parametrize("path, clean", [("/a/b/", "/a/b"), ("/a//b/./c", "/a/b/c")])
def test_paths_are_written_as_libvirt_writes_them(path, clean):
    assert from_declared("images", path).path == clean


@pytest.mark.parametrize("options", [{"path": "images"}, {"path": "/images", "mode": "rwx"}])
def test_input_that_cannot_be_meant_is_refused(options):
    with pytest.raises(MultiverseError, match="pool images has"):
        from_declared("images", **options)


@pytest.mark.parametrize("mode", ["750", "0750", "0o750"])
def test_every_way_to_write_a_mode(mode):
    assert from_declared("images", "/images", mode=mode).mode == "0750"


def test_the_mark_depends_on_nothing_but_the_name():
    assert pools.mark("base-images") == "aa9beb03-7b60-58b0-8385-d073e8cb17fb"
    assert pools.mark("os-images") != pools.mark("base-images")


@given(declared)
def test_the_codec_is_lossless(pool):
    definition = from_xml(to_xml(pool))
    assert definition == Definition(pool.name, pools.mark(pool.name), "dir", pool.path)
    assert pools.is_ours(definition)


@given(declared)
def test_what_we_do_not_declare_survives(pool):
    text = to_xml(pool, FOREIGN)
    assert from_xml(text) == Definition(pool.name, FOREIGN_UUID, "dir", pool.path)
    root = ElementTree.fromstring(text)
    assert root.find("features/cow").get("state") == "no"
    assert root.findtext("target/permissions/mode") == "0711"


@given(declared)
def test_nothing_to_do_where_all_is_right(pool):
    assert not plan(pool, converged(pool))


@given(declared, paths, paths, st.booleans(), st.booleans(), st.booleans())
def test_applying_every_change_of_a_plan_leads_to_the_desired_pool(pool, path, live_path, active, autostart, exists):
    definition = Definition(pool.name, pools.mark(pool.name), "dir", path)
    live = definition._replace(path=live_path) if active else None
    directory = Directory("nobody", "nogroup", "0777") if exists else None
    current = Current(definition, live, directory, autostart)
    for change in plan(pool, current):
        current = _with(current, change)
    assert not plan(pool, current)


def _with(current, change):
    """The views after a change."""
    if change.field == "path":
        live = current.live and current.live._replace(path=change.after)
        return current._replace(persistent=current.persistent._replace(path=change.after), live=live)
    if change.field == "live.path":
        return current._replace(live=current.live._replace(path=change.after))
    if change.field == "active":
        return current._replace(live=current.persistent)
    if change.field == "autostart":
        return current._replace(autostart=change.after)
    directory = current.directory or Directory("root", "root", "0755")
    known = {change.field.split(".")[1]: change.after}
    return current._replace(directory=directory if "exists" in known else directory._replace(**known))


@given(declared)
def test_only_our_mark_allows_removal(pool):
    ours = converged(pool)
    foreign = ours._replace(persistent=ours.persistent._replace(uuid=FOREIGN_UUID))
    assert pools.plan_removal(pool.name, ours)
    assert not pools.plan_removal(pool.name, foreign)
    assert not pools.plan_removal(pool.name, Current(None, None, None, False))
