#!/bin/sh
# Called by busybox udhcpc with the lease in its environment: only writes it down, clients.py does the rest.
case $1 in
bound | renew) env > "$LAB_LEASE.new" && mv "$LAB_LEASE.new" "$LAB_LEASE" ;;
esac
