#!/bin/bash
# Builds the collection, installs the tarball, and runs Ansible's own sanity tests on what is installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

ansible-galaxy collection build --output-path "$folder" > /dev/null
ansible-galaxy collection install --collections-path "$folder" --no-deps --offline "$folder"/*.tar.gz > /dev/null
cd "$folder/ansible_collections/multiverse/router_controller"

# Without git, ansible-test takes every file below. Documentation must also render for people.
export ANSIBLE_COLLECTIONS_PATH=$folder ANSIBLE_CONFIG=/dev/null
for module in plugins/modules/*.py; do
	ansible-doc --type module "multiverse.router_controller.$(basename "$module" .py)" > /dev/null
done
ansible-playbook --syntax-check --inventory inventory multiverse.router_controller.site
ansible-test sanity --color no --python default --exclude tests/ --test validate-modules --test compile --test import \
	--test pymarkdown --test action-plugin-docs --test no-assert --test runtime-metadata --test shebang --test symlinks
