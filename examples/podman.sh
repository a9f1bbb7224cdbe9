#!/bin/sh
# One VM without Kubernetes, with podman alone; as root, since the VM gets podman's own network.
#
#   podman build --tag localhost/berth:0.1.0 .
#   printf '#cloud-config\ndisable_root: false\nssh_authorized_keys: ["%s"]\n' "$(cat ~/.ssh/id_ed25519.pub)" >userdata
#   examples/podman.sh --env VM_MEMORY=2G
#   ssh root@"$(podman inspect --format '{{.NetworkSettings.IPAddress}}' my-vm)"
#
# The screen is at port 5900 of the same address. `podman logs my-vm` shows the boot, and
# `podman exec --interactive --tty my-vm berth console` attaches to the serial console.
# `podman stop my-vm` shuts the guest down, `podman start my-vm` starts it again; its disk is in the
# volume my-vm, and outlives the container. Arguments are further options of `podman run`.
set -eu

if [ -e /dev/kvm ]; then
    set -- --device /dev/kvm "$@"
fi

# --hostname  the VM's name, and its disk's: another name is another VM
# --cap-add   NET_ADMIN: bridge and NAT; NET_BIND_SERVICE: the DHCP server's port;
#             SETUID, SETGID: QEMU runs as a user of its own; CHOWN: the files it opens
# --stop-timeout  seconds; the guest has 30 of them, which STOP_TIMEOUT changes
exec podman run --detach --name my-vm --hostname my-vm \
    --cap-drop all \
    --cap-add NET_ADMIN --cap-add NET_BIND_SERVICE \
    --cap-add SETUID --cap-add SETGID --cap-add CHOWN \
    --security-opt no-new-privileges \
    --device /dev/net/tun \
    --read-only --tmpfs /run \
    --stop-timeout 40 \
    --volume berth-shared:/shared \
    --volume my-vm:/pet \
    --volume "$PWD/userdata:/userdata:ro" \
    --env IMG_SOURCE=https://cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.qcow2 \
    --env IMG_CHECKSUM=https://cloud.debian.org/images/cloud/trixie/latest/SHA512SUMS \
    "$@" localhost/berth:0.1.0
