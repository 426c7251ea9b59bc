#!/bin/sh
# shellcheck disable=SC2154  # openvpn sets dev
# Runs when the tunnel of a client goes down: the user's own script, DNS as it was, then the service is inactive.

[ -z "${RC_SVCNAME:-}" ] || [ ! -x "/etc/openvpn/$RC_SVCNAME-down.sh" ] || "/etc/openvpn/$RC_SVCNAME-down.sh" "$@"

if [ "${PEER_DNS:-yes}" != no ]; then
	if [ -x /sbin/resolvconf ]; then
		/sbin/resolvconf -d "$dev"
	elif [ -e "/etc/resolv.conf-$dev.sv" ]; then
		cat "/etc/resolv.conf-$dev.sv" > /etc/resolv.conf
		rm "/etc/resolv.conf-$dev.sv"
	fi
fi

if [ -n "${RC_SVCNAME:-}" ] && "/etc/init.d/$RC_SVCNAME" --quiet status; then
	IN_BACKGROUND=true "/etc/init.d/$RC_SVCNAME" --quiet stop
fi
exit 0
