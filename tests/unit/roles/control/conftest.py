"""Makes the installed package ``multiverse`` importable from its two sources, as the role joins them on universe."""

import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[4]

package = types.ModuleType("multiverse")
package.__path__ = [str(ROOT / "roles/control/files/multiverse"), str(ROOT / "plugins/module_utils")]
sys.modules["multiverse"] = package

# Helpers of these tests, beside them: pytest's importlib mode leaves sys.path alone.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
