#!/bin/bash
# The steps of an image build done by hand on a lab host, without any of our code but the build portal's own scripts:
# what the module `images` is measured against. Arguments: base image, build portal, package names...
set -euo pipefail
base=$1 portal=$2
shift 2
work=$(mktemp -d /var/tmp/by-hand.XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"

cp -r "$portal" portal
printf '%s\n' "$@" | sort > portal/packages
qemu-img convert -O raw "$base" disk
e2fsck -fy disk > e2fsck.log 2>&1 || true
truncate -s 1G disk
resize2fs disk > resize2fs.log 2>&1
dump() { debugfs -R "dump /boot/vmlinuz-virt vmlinuz" disk 2> debugfs.log && debugfs -R "dump /boot/initramfs-virt initramfs" disk 2> debugfs.log; }
dump
printf '%s\n' 'mkdir /usr/lib/multiverse' 'write portal/build /usr/lib/multiverse/build' \
	'sif /usr/lib/multiverse/build mode 0100755' | debugfs -w -f - disk > debugfs.log 2>&1
chown -R multiverse "$work"
setpriv --reuid multiverse --regid multiverse --clear-groups qemu-system-x86_64 \
	-accel tcg -cpu qemu64 -M q35 -m 512 -display none -nodefaults -no-reboot -kernel vmlinuz -initrd initramfs \
	-append 'root=/dev/vda rootfstype=ext4 modules=ext4,virtio_blk rw console=ttyS0 quiet init=/usr/lib/multiverse/build' \
	-drive file=disk,format=raw,if=virtio -netdev user,id=n -device virtio-net-pci,netdev=n,mac=00:00:10:ff:ff:fd \
	-fsdev local,id=f,path=portal,security_model=mapped-xattr,readonly=on \
	-device virtio-9p-pci,fsdev=f,mount_tag=build-portal \
	-device virtio-serial-pci -chardev file,id=r,path=report -device virtserialport,chardev=r,name=org.multiverse.build \
	-serial file:console.log -object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng
dump
e2fsck -fy disk > e2fsck.log 2>&1 || true
grep -q '"step": "done"' report
