#!/bin/sh
# Makes this router what its portal says: names the NICs, mirrors base-files onto /, sets the kernel's parameters, enables
# the services and restarts exactly those whose files changed. Ends with one JSON object. Generic: what makes routers
# differ is data in the portal.
#   provision.sh          put right whatever differs
#   provision.sh --check  only say what differs
#   provision.sh --boot   before interfaces come up: services are left to OpenRC
set -u
portal=$(cd "$(dirname "$0")" && pwd)
. "$portal/lib.sh"
[ -n "${RUN:-}" ] || traced "$0" "$@"
umask 022  # the guest agent starts us with a stricter one

mode="${1:-}"
state=/var/lib/multiverse
manifest="$state/manifest"

checking() { [ "$mode" = --check ]; }
booting() { [ "$mode" = --boot ]; }

# NICs are known by MAC; the kernel's numbering is chance, and a plugged-in one comes last.
nic_of() {
	local file address
	for file in /sys/class/net/*/address; do
		read -r address < "$file"
		[ "$address" != "$1" ] || { file="${file%/address}"; echo "${file##*/}"; return; }
	done
}

name_nics() {
	local name mac address gateway current
	while read -r name mac address gateway; do
		current=$(nic_of "$mac")
		if [ -z "$current" ]; then
			failed nics "there is no NIC with MAC $mac for $name; is it plugged in?"
		elif [ "$current" != "$name" ]; then
			changed nic "$name" "renamed from $current"
			checking || { ip link set "$current" down; ip link set "$current" name "$name"; }
		fi
	done < "$portal/nics"
}

# same FILE: does the system have this base-file, content and mode?
same() {
	[ -f "/$1" ] && [ ! -L "/$1" ] && cmp -s "$portal/base-files/$1" "/$1" &&
		[ "$(stat -c %a "$portal/base-files/$1")" = "$(stat -c %a "/$1")" ]
}

put() {  # aside first, then renamed: a file is the old one or the new one
	if [ -d "/$1" ] && [ ! -L "/$1" ]; then
		echo "/$1 is a directory, where the portal has a file; remove it" >&2
		return 1
	fi
	mkdir -p "/$(dirname "$1")"
	cp "$portal/base-files/$1" "/$1.multiverse-new"
	chmod "$(stat -c %a "$portal/base-files/$1")" "/$1.multiverse-new"
	chown root:root "/$1.multiverse-new"
	mv -fT "/$1.multiverse-new" "/$1"
}

# What we put there, to tell later what the portal no longer has.
keep_manifest() {
	mkdir -p "$state"
	cp "$RUN/manifest" "$manifest.new"
	mv -f "$manifest.new" "$manifest"
}

mirror_files() {
	local file
	(cd "$portal/base-files" && find . -type f) > "$RUN/found"
	sed 's,^\./,,' "$RUN/found" > "$RUN/names"
	sort "$RUN/names" > "$RUN/manifest"
	while IFS= read -r file; do
		same "$file" && continue
		changed file "/$file" "$([ -e "/$file" ] && echo updated || echo added)"
		checking || put "$file"
	done < "$RUN/manifest"
	[ ! -f "$manifest" ] || while IFS= read -r file; do
		if ! grep -qxF "$file" "$RUN/manifest" && [ -f "/$file" ]; then
			changed file "/$file" removed
			checking || rm -f "/$file"
		fi
	done < "$manifest"
	checking || cmp -s "$RUN/manifest" "$manifest" || keep_manifest
}

keep_hostname() {
	local name
	read -r name < "$portal/base-files/etc/hostname"
	[ "$(hostname)" = "$name" ] && return
	changed hostname "$name" "renamed from $(hostname)"
	checking || hostname "$name"
}

# The portal's own line in /etc/fstab; other lines are not ours.
keep_fstab() {
	local line target
	read -r line < "$portal/fstab"
	read -r _ target _ < "$portal/fstab"
	[ "$(awk -v t="$target" '$1 !~ /^#/ && $2 == t' /etc/fstab)" = "$line" ] && return
	changed file /etc/fstab "portal line set"
	checking && return
	awk -v t="$target" '$1 ~ /^#/ || $2 != t' /etc/fstab > /etc/fstab.multiverse-new
	echo "$line" >> /etc/fstab.multiverse-new
	mv -f /etc/fstab.multiverse-new /etc/fstab
}

# Every parameter of our sysctl file, compared with the kernel's own value: sysctl prints what the file says.
set_sysctls() {
	local file="$portal/base-files/etc/sysctl.d/multiverse.conf" name value
	grep '^[a-z]' "$file" > "$RUN/wanted"
	# shellcheck disable=SC2046  # a list of names on purpose
	sysctl -e $(cut -d ' ' -f 1 "$RUN/wanted") > "$RUN/found" || true  # not there (yet): it differs
	grep -vxFf "$RUN/found" "$RUN/wanted" > "$RUN/differ" || true
	while read -r name _ value; do
		changed sysctl "$name" "set to $value"
		checking || sysctl -q -w "$name=$value"
	done < "$RUN/differ"
}

# triggered PATTERN...: is one of the changed files among those this service reads?
triggered() {
	local pattern kind file action
	for pattern in "$@"; do
		while IFS="$(printf '\t')" read -r kind file action; do
			[ "$kind" = file ] || continue
			# shellcheck disable=SC2254  # the pattern is meant as one
			case "${file#/}" in $pattern) return 0 ;; esac
		done < "$RUN/changed"
	done
	return 1
}

# up ADDRESS NAME: does this NIC carry its address, and is it up?
up() {
	case "$(ip -4 -o addr show dev "$2" up 2> /dev/null)" in *" $1 "*) return 0 ;; esac
	return 1
}

nics_up() {
	local name mac address gateway
	while read -r name mac address gateway; do
		up "$address" "$name" || return 1
		[ "$gateway" != - ] || continue
		case "$(ip -4 route show default)" in *"via $gateway dev $name"*) ;; *) return 1 ;; esac
	done < "$portal/nics"
}

healthy() {
	rc-service -q "$1" status > /dev/null 2>&1 || return 1
	[ "$1" != networking ] || nics_up
}

last_words() {
	{ set +x; } 2> /dev/null
	rc-service "$1" status 2>&1 | tail -n 3
}

keep_services() {
	local service patterns action
	set -f  # patterns are matched against names by us, never expanded by the shell
	while read -r service patterns; do
		# In any runlevel will do: some services are part of the image and start early.
		if [ -z "$(find /etc/runlevels -name "$service")" ]; then
			changed service "$service" enabled
			checking || rc-update -q add "$service" default
		fi
		booting && continue
		action=''
		# shellcheck disable=SC2086  # a list of patterns on purpose
		if ! healthy "$service"; then
			action=restarted
		elif triggered $patterns; then
			action='restarted for its new files'
		fi
		[ -n "$action" ] || continue
		changed service "$service" "$action"
		checking && continue
		rc-service "$service" restart 1>&2 && healthy "$service" ||
			failed "service $service" "it does not run after a restart: $(last_words "$service")"
	done < "$portal/services"
	set +f
}

name_nics
mirror_files
keep_hostname
keep_fstab
set_sysctls
keep_services
