#!/bin/sh
# Installs the apk packages this portal lists. Run again, it does nothing; --check only says what is missing.
# The image was built with the same list, so a router normally needs no network for this.
set -u
portal=$(cd "$(dirname "$0")" && pwd)
. "$portal/lib.sh"
[ -n "${RUN:-}" ] || traced "$0" "$@"

missing=''
while read -r package; do
	apk info -e "$package" > /dev/null || missing="$missing $package"
done < "$portal/packages"

if [ -n "$missing" ] && [ "${1:-}" != --check ]; then
	cp "$portal"/keys/*.pub /etc/apk/keys/ 2> /dev/null || true
	[ ! -s "$portal/repositories" ] || cp "$portal/repositories" /etc/apk/repositories
	# shellcheck disable=SC2086  # a list of names on purpose
	apk add --no-progress --update-cache --wait 60 $missing 1>&2
fi
for package in $missing; do
	changed package "$package" installed
done
