#!/bin/bash
# Unpack a monitor, a store and an S3 gateway of Ceph, and the libraries that this machine lacks, into a folder: nothing
# is installed, no service is started.
set -euo pipefail
folder=$(realpath -m "$1")
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
chmod 755 "$packages"
[ "$(id -u)" != 0 ] || apt-get update -qq
cd "$packages"
apt-get install -s --no-install-recommends ceph-mon ceph-osd radosgw \
  | awk '$1 == "Inst" {print $2}' \
  | grep -vxE 'sudo|lvm2|dmeventd|cryptsetup-bin|gdisk|hdparm|logrotate|nvme-cli|dmidecode|parted|smartmontools|xfsprogs' \
  | xargs apt-get download -qq 2>/dev/null
mkdir -p "$folder"
for package in *.deb; do dpkg -x "$package" "$folder"; done
test -x "$folder/usr/bin/radosgw"
