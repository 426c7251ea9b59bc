#!/bin/bash
# Proves what runs inside Ansible (actions, wiring of modules, documentation, roles) on every ansible-core that is promised:
# the oldest, one between, and the newest, which is the one this project is developed with.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/multiverse
older=(2.15.13 2.17.14)
collection=multiverse.router_controller
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Makes the environment of ansible-core $1 once, and says where it is.
environment() {
	local venv
	venv=$cache/ansible-core-$1-$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
	if [ ! -e "$venv/.ready" ]; then
		rm -rf "$venv"
		python3 -m venv "$venv"
		# The same tools as everywhere else in this project.
		grep -oE '^(hypothesis|jinja2|netaddr|pytest|pyyaml)==[^ ;]+' tests/requirements.txt |
			xargs "$venv/bin/pip" install --quiet --disable-pip-version-check "ansible-core==$1"
		touch "$venv/.ready"
	fi
	echo "$venv/bin"
}

# A machine that is no router controller yet, whatever this one is: all that is asked of it is what `ip` prints.
machine() {
	mkdir "$folder/bin"
	cat > "$folder/bin/ip" <<- 'END'
		#!/bin/sh
		if [ "$2" = route ]; then
			echo "default via 192.0.2.1 dev ens12"
			echo "192.0.2.0/24 dev ens12"
		fi
	END
	chmod +x "$folder/bin/ip"
}

# Our roles, but all that each one does is to write down what became of its variables.
roles() {
	local role
	cp -r roles plugins "$folder"
	rm -rf "$folder"/roles/*/{handlers,meta/main.yml}
	for role in "$folder"/roles/*; do
		cat > "$role/tasks/main.yml" <<- 'END'
			- name: Write down what became of the role's variables
			  ansible.builtin.copy:
			    content: "{{ dict(names | zip(query('ansible.builtin.vars', *names))) | to_nice_json(sort_keys=true) }}"
			    dest: "{{ folder }}/variables/{{ role }}.json"
			    mode: "0644"
			  vars:
			    own: "{{ lookup('ansible.builtin.file', role_path ~ '/vars/main.yml', errors='ignore') or '{}' }}"
			    public: "{{ lookup('ansible.builtin.file', role_path ~ '/defaults/main.yml') }}"
			    names: "{{ (own | from_yaml).keys() | list + (public | from_yaml).keys() | list }}"
		END
	done
}

# Everything, with the ansible-core that is first in PATH.
check() {
	ansible-doc --type module "${modules[@]/#/$collection.}" > /dev/null
	ansible-doc --type role "${roles[@]/#/$collection.}" > /dev/null
	ansible-playbook --syntax-check playbooks/site.yml > /dev/null
	mkdir "$folder/variables"
	PATH=$folder/bin:$PATH ansible-playbook --extra-vars "folder=$folder" tests/compatibility.yml
	python -m pytest -q -p no:cacheprovider tests/unit/plugins/action tests/unit/plugins/modules tests/unit/roles/test_role_*.py
	# What comes out is the same with each; but a number on its own is text for the older ones, until a module takes it.
	sed -i -E 's/: "(0|[1-9][0-9]*)"(,?)$/: \1\2/' "$folder"/variables/*
	if [ -e "$folder/first" ]; then
		diff -r "$folder/first" "$folder/variables"
		rm -r "$folder/variables"
	else
		mv "$folder/variables" "$folder/first"
	fi
}

mapfile -t modules < <(basename --suffix .py plugins/modules/*.py)
mapfile -t roles < <(basename --multiple roles/*)
export ANSIBLE_CONFIG=$PWD/ansible.cfg ANSIBLE_FORCE_COLOR=false
newest=$(dirname "$(command -v ansible-playbook)")
machine
roles
for version in "${older[@]}" newest; do
	bin=$newest
	[ "$version" = newest ] || bin=$(environment "$version")
	echo "== $("$bin/ansible" --version | head -n 1)"
	(PATH=$bin:$PATH check)
done
