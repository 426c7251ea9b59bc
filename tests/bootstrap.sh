#!/bin/bash
# Makes the Python environment of the project in $1, installing the Debian packages that takes when they are missing.
set -euo pipefail
venv=$1

packages=(git gcc pkg-config libvirt-dev python3-dev python3-venv)
missing=()
for package in "${packages[@]}"; do
	dpkg-query --show --showformat '${db:Status-Abbrev}' "$package" 2> /dev/null | grep -q '^ii' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update --quiet=2
	apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"
fi

rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement tests/requirements.txt
