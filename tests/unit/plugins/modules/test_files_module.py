"""The module `files` end to end, in a process of its own: results, diffs, and secrets nowhere but in their files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COLLECTIONS = Path(__file__).resolve().parents[4] / ".collections"
NAME = "ansible_collections.multiverse.router_controller.plugins.modules.files"


@pytest.fixture
def run(tmp_path):
    """Runs the module with arguments; its answer."""

    def call(check=False, **arguments):
        arguments.update(_ansible_check_mode=check, _ansible_diff=True, _ansible_no_log=False)
        done = subprocess.run(
            [sys.executable, "-m", NAME],
            text=True,
            capture_output=True,
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env={"PYTHONPATH": str(COLLECTIONS)},
        )
        return json.loads(done.stdout)

    return call


@pytest.mark.parametrize("content", ["sekrit", {"sekrit": 1}], ids=["success", "failure"])
def test_a_secret_is_in_nothing_that_is_reported(run, tmp_path, content):
    path = tmp_path.resolve() / "key"
    result = run(files=[{"path": str(path), "content": content, "mode": "0600", "secret": True}])
    assert result.get("failed", False) is isinstance(content, dict)
    assert "sekrit" not in json.dumps(result)
    assert result["invocation"]["module_args"]["files"][0]["content"].endswith("characters>")


def test_result(run, tmp_path):
    path = str(tmp_path.resolve() / "f")
    arguments = {"files": [{"path": path, "content": "new\n"}]}
    predicted = run(check=True, **arguments)
    done = run(**arguments)
    assert predicted["changes"] == done["changes"] == [{"path": path, "what": ["created"]}]
    assert predicted["diff"] == done["diff"] and done["diff"][0]["after"] == "new\n"
    assert run(**arguments)["changed"] is False
