#!/bin/sh
# Runs tests in a virtual machine: what needs another kernel (VLAN filtering, SCTP) or an init of its own (systemd as
# PID 1, the real firewalld). Emulated, so it needs no hardware; outside `npm test`, since it takes minutes.
#
#   npm run test:vm                      test/vm, and the files of test/netns that this kernel alone runs in whole
#   npm run test:vm test/vm/vlan.ts …    these
#
#   a tree of Debian 13 ──▶ root.ext4 ─┐
#                                      ├─▶ qemu: systemd ──▶ tsnet-tests.service ──▶ second serial line ──▶ here
#   this project ──────▶ project.ext4 ─┘
#
# The tree is made once, in TSNET_VM_DIR (default /var/tmp/tsnet-vm, 2 GB). Nothing of the images is written to.
set -eu
cd "$(dirname "$0")/.."
dir=${TSNET_VM_DIR:-/var/tmp/tsnet-vm}
tree=$dir/tree
packages="systemd-sysv,libpam-systemd,dbus,firewalld,nodejs,iproute2,nftables,iptables,conntrack,containernetworking-plugins,
  curl,kmod,procps,util-linux,socat,strace,busybox-static,linux-image-amd64,initramfs-tools,zstd"
minutes=${TSNET_VM_MINUTES:-30}

need() {
  missing=""
  for package in qemu-system-x86 e2fsprogs debootstrap; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
  done
  [ -z "$missing" ] && return
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
}

make_tree() {
  [ -e "$tree/.complete" ] && return
  rm -rf "$tree"
  mkdir -p "$tree"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -1)
  echo "making a tree of Debian 13 in $tree" >&2
  # shellcheck disable=SC2086
  debootstrap --variant=minbase --include="$(echo $packages | tr ' ' ,)" trixie "$tree" "$mirror" >"$dir/tree.log" 2>&1 ||
    { tail -5 "$dir/tree.log" >&2; exit 1; }
  touch "$tree/.complete"
}

make_images() {
  rm -rf "$dir/project" && mkdir -p "$dir/project"
  cp -a package.json dist conf scripts test docs README.md "$dir/project"
  cp -a node_modules "$dir/project/node_modules"
  rm -rf "$tree/etc/systemd/system/tsnet-tests.service" "$tree/etc/systemd/system/multi-user.target.wants/tsnet-tests.service"
  mkdir -p "$tree/project" "$tree/etc/systemd/system/multi-user.target.wants"
  cp scripts/vm/tsnet-tests.service "$tree/etc/systemd/system/"
  ln -sf ../tsnet-tests.service "$tree/etc/systemd/system/multi-user.target.wants/tsnet-tests.service"
  rm -f "$tree/etc/systemd/system/multi-user.target.wants/firewalld.service"
  printf '/dev/vda / ext4 rw 0 1\n/dev/vdb /project ext4 ro,nofail,x-systemd.device-timeout=900 0 0\n' >"$tree/etc/fstab"
  echo "${*:-test/vm test/netns/bridge-options.ts test/netns/links.ts}" >"$dir/project/tests"
  for image in root project; do rm -f "$dir/$image.ext4"; done
  mke2fs -q -t ext4 -E root_owner=0:0 -d "$tree" "$dir/root.ext4" 4G
  mke2fs -q -t ext4 -E root_owner=0:0 -d "$dir/project" "$dir/project.ext4" 2G
}

boot() {
  : >"$dir/results"
  kernel=$(ls "$tree"/boot/vmlinuz-* | tail -1)
  timeout "${minutes}m" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -m 4000 -smp 2 -nic none -display none \
    -no-reboot -snapshot -kernel "$kernel" -initrd "${kernel%/*}/initrd.img-${kernel##*/vmlinuz-}" \
    -append "root=/dev/vda rw console=ttyS0 fsck.mode=skip systemd.default_timeout_start_sec=900 systemd.default_device_timeout_sec=900" \
    -drive "file=$dir/root.ext4,format=raw,if=virtio" -drive "file=$dir/project.ext4,format=raw,if=virtio" \
    -serial "file:$dir/console" -serial "file:$dir/results" || true
}

need
make_tree
npm run --silent build
make_images "$@"
boot
tr -d '\r' <"$dir/results"
tr -d '\r' <"$dir/results" | tail -1 | grep -q '^[1-9][0-9]* passed, 0 failed$' ||
  { echo "the virtual machine's own words are in $dir/console" >&2; exit 1; }
