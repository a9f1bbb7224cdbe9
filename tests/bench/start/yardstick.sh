#!/usr/bin/env bash
# The job of startvm in plain shell, as somebody in a hurry would write it: no checks, no recovery.
# The benchmark runs it beside startvm, in the same pod, with the same base, pet and guest.
# Environment: SHARED_DIR PET_DIR RUN_DIR IMG_TARGET VM_NAME VM_MEMORY USERDATA_FILE.
# With `prepare` it stops before QEMU, and with `qemu` it does only that: the bare minimum.
set -euo pipefail

vm=192.168.254.2 gateway=192.168.254.1
servers='' search=''
read -r _ _ _ _ dev _ < <(ip -4 route show default)
read -r _ _ _ address _ < <(ip -4 -oneline address show dev "$dev" scope global)
pod=${address%/*} mtu=$(<"/sys/class/net/$dev/mtu")
while read -r key values; do
  case $key in
  nameserver) servers+=${servers:+,}$values ;;
  search) search=${values// /,} ;;
  esac
done </etc/resolv.conf
pet=$PET_DIR/$VM_NAME.qcow2

prepare() {
  [ -f "$pet" ] || qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=128k \
    -b "$SHARED_DIR/$IMG_TARGET" -F qcow2 "$pet"

  tree=$RUN_DIR/seed
  mkdir -p "$tree/openstack/latest"
  echo "{\"uuid\": \"$VM_NAME\", \"hostname\": \"$VM_NAME\"}" >"$tree/openstack/latest/meta_data.json"
  cp "$USERDATA_FILE" "$tree/openstack/latest/user_data"
  genisoimage -quiet -R -J -V config-2 -o "$RUN_DIR/seed.iso" "$tree"

  ip link add br0 type bridge
  ip address add $gateway/30 dev br0
  ip link set br0 up
  ip tuntap add tap0 mode tap vnet_hdr
  ip link set tap0 master br0 up
  bridge link set dev tap0 hairpin on
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 1 >/proc/sys/net/ipv4/conf/br0/route_localnet

  nft -f - <<RULES
table ip shell {
  chain prerouting {
    type nat hook prerouting priority -100
    ip daddr $pod tcp dport != 5900 dnat to $vm
    ip daddr $pod meta l4proto != tcp dnat to $vm
  }
  chain output {
    type nat hook output priority -100
    ip daddr { 127.0.0.1, $pod } tcp dport != 5900 dnat to $vm
  }
  chain postrouting {
    type nat hook postrouting priority 100
    ip saddr $vm oifname "$dev" snat to $pod
    ip saddr { 127.0.0.1, $vm } ip daddr $vm snat to $gateway
  }
}
RULES

  dnsmasq --conf-file=/dev/null --port=0 --no-ping --interface=br0 --bind-dynamic \
    --user=root --group=root --pid-file="$RUN_DIR/dnsmasq.pid" \
    --dhcp-leasefile="$RUN_DIR/leases" --dhcp-range=$vm,$vm,255.255.255.252,infinite \
    --dhcp-option=3,$gateway --dhcp-option=12,"$VM_NAME" --dhcp-option=26,"$mtu" \
    --dhcp-option=6,"$servers" --dhcp-option=119,"$search"
}

[ "${1:-}" = qemu ] || prepare
[ "${1:-}" = prepare ] && exit
exec qemu-system-x86_64 -machine q35,accel=tcg -m "$VM_MEMORY" -smp 1 -nodefaults \
  -display none -vga std -vnc "$pod:0" -serial "file:$RUN_DIR/console.log" \
  -drive "file=$pet,if=virtio,format=qcow2" \
  -drive "file=$RUN_DIR/seed.iso,if=virtio,format=raw,readonly=on" \
  -netdev tap,id=net0,ifname=tap0,script=no,downscript=no \
  -device "virtio-net-pci,netdev=net0,host_mtu=$mtu" \
  -device virtio-rng-pci -qmp "unix:$RUN_DIR/qmp.sock,server=on,wait=off"
