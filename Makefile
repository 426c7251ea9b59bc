# make lab   a throwaway bare Debian host with a small internet, converged to the reference topology
# make test  everything that is checked: lint, unit tests, sanity, molecule
# Both run as root on a fresh Debian with nothing but make and Python, and install what they need.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: help lab lab-down test lint unit sanity compatibility molecule lock clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PATH := $(CURDIR)/$(BIN):$(PATH)

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# Tools and their versions are pinned with checksums; a changed list makes the environment anew.
$(READY): tests/requirements.txt tests/bootstrap.sh
	tests/bootstrap.sh $(VENV)
	touch $@

lab: $(READY)
	lab/lab up
	ansible-playbook -i .lab/inventory.yml playbooks/site.yml
	@echo; lab/lab ssh -- routerctl status
	@echo; cat lab/reach.txt

lab-down:
	lab/lab down --all

test: lint unit sanity compatibility molecule

lint: $(READY)
	ruff check .
	ruff format --check .
	vermin --quiet -t=3.5- --no-tips --violations plugins/modules plugins/module_utils roles/*/files
	vermin --quiet -t=3.9- --no-tips --violations plugins/action plugins/plugin_utils lab
	yamllint --strict .
	shellcheck --severity=warning .ci/run benchmarks/*.sh tests/*.sh
	# The guests' shell is busybox's, which is closest to dash.
	shellcheck --severity=warning --shell=dash roles/portal/files/*.sh roles/routers/files/build \
		roles/routers/files/image/etc/init.d/* $$(git ls-files 'lab/*.sh')
	ansible-lint --offline -q
	antsibull-changelog lint

unit: $(READY)
	pytest -q -n 2 tests/unit

# ansible-test wants the collection where Ansible would install it, so this checks what is built and installed.
sanity: $(READY)
	tests/sanity.sh

# The oldest and the newest ansible-core that are promised.
compatibility: $(READY)
	tests/compatibility.sh

molecule: $(READY)
	molecule test -s default
	molecule test -s debian

# Pin the newest versions of tests/requirements.in again.
lock: $(READY)
	pip install --quiet uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--upgrade --output-file tests/requirements.txt tests/requirements.in

clean: lab-down
	rm -rf $(VENV) .lab .cache .pytest_cache .ruff_cache .hypothesis
