#!/bin/busybox sh
# Name the host: as DHCP said (option 12), else as the config drive says, else "tiny". Both learn
# it in their own time, and source this then: the later one sees what both had to say.

hostname=
# shellcheck source=/dev/null
[ ! -e /run/lease ] || . /run/lease
[ -n "$hostname" ] || [ ! -s /run/hostname.metadata ] || read -r hostname </run/hostname.metadata
hostname "${hostname:-tiny}"
