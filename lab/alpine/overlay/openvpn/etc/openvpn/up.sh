#!/bin/sh
# shellcheck disable=SC2154  # openvpn sets dev
# Runs when the tunnel of a client is up: DNS as the server wants it, the user's own script, then the service is started.

resolver() {
	option=1
	while eval "value=\${foreign_option_$option:-}" && [ -n "$value" ]; do
		case $value in
			"dhcp-option DNS "*) echo "nameserver ${value#dhcp-option DNS }" ;;
			"dhcp-option DOMAIN "*) echo "search ${value#dhcp-option DOMAIN }" ;;
		esac
		option=$((option + 1))
	done
}

if [ "${PEER_DNS:-yes}" != no ] && [ -n "$(resolver)" ]; then
	if [ -x /sbin/resolvconf ]; then
		resolver | /sbin/resolvconf -a "$dev"
	else
		[ ! -e /etc/resolv.conf ] || cp /etc/resolv.conf "/etc/resolv.conf-$dev.sv"
		resolver > /etc/resolv.conf
	fi
fi

if [ -n "${RC_SVCNAME:-}" ]; then
	[ ! -x "/etc/openvpn/$RC_SVCNAME-up.sh" ] || "/etc/openvpn/$RC_SVCNAME-up.sh" "$@"
	"/etc/init.d/$RC_SVCNAME" --quiet status || IN_BACKGROUND=true "/etc/init.d/$RC_SVCNAME" --quiet start
fi
exit 0
