#!/bin/bash
# Builds the collection, installs the tarball, and runs Ansible's own sanity tests on what is installed.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/multiverse/ansible-test
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Only what is installed counts: neither our checkout nor collections of the user.
touch "$folder/ansible.cfg"
export ANSIBLE_COLLECTIONS_PATH=$folder ANSIBLE_CONFIG=$folder/ansible.cfg
ansible-galaxy collection build --output-path "$folder" > /dev/null
ansible-galaxy collection install --collections-path "$folder" --no-deps --offline "$folder"/*.tar.gz > /dev/null
cd "$folder/ansible_collections/multiverse/router_controller"

# Documentation must also render for people.
mapfile -t modules < <(basename --suffix .py plugins/modules/*.py)
mapfile -t roles < <(basename --multiple roles/*)
ansible-doc --type module "${modules[@]/#/multiverse.router_controller.}" > /dev/null
ansible-doc --type role "${roles[@]/#/multiverse.router_controller.}" > /dev/null
ansible-playbook --syntax-check --inventory inventory multiverse.router_controller.site

# ansible-test keeps its environments below the home. It would fetch pip from a server of its own; Python brings one along,
# which installs the wanted one from where all packages come from.
mkdir -p "$cache/.ansible/test/cache" "$cache/.config"
ln -sfn "${XDG_CONFIG_HOME:-$HOME/.config}/pip" "$cache/.config/pip"
export HOME=$cache
unset XDG_CONFIG_HOME XDG_CACHE_HOME
version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
pip=$(python - "$version" << 'END'
from ansible_test._internal.python_requirements import get_venv_packages
from ansible_test._internal.host_configs import NativePythonConfig
import sys

print(get_venv_packages(NativePythonConfig(version=sys.argv[1], path=sys.executable))["pip"])
END
)
cat > "$cache/.ansible/test/cache/get_pip_${pip//./_}.py" << 'END'
import ensurepip
import os
import subprocess
import sys

# It turns pip's configuration off for good.
environment = dict(os.environ)
ensurepip.bootstrap()
options = [option for option in sys.argv[1:] if option not in ("--no-setuptools", "--no-wheel")]
subprocess.run([sys.executable, "-m", "pip", "install"] + options, env=environment, check=True)
END

# Without git, ansible-test takes every file below. Older Pythons than this one are vermin's part; that the controller's plugins
# import, with the packages they need, is compatibility.sh's.
check() { ansible-test sanity --color no --python "$version" "$@"; }
check --test action-plugin-docs --test ansible-doc --test compile --test empty-init --test line-endings --test no-assert \
	--test no-get-exception --test no-illegal-filenames --test no-smart-quotes --test replace-urlopen \
	--test runtime-metadata --test symlinks --test use-argspec-type-path --test use-compat-six --test validate-modules
check --test import --test shebang plugins/modules/ plugins/module_utils/
