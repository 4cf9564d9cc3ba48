#!/bin/sh
# Runs a command beside today's clients: in a tree of Debian sid, with its dockerd, containerd, podman, reference
# plugins, nft, iptables, LXC and Node instead of this machine's. Without a command: the tests that have to do with them.
#
#   scripts/newest.sh [COMMAND …]
#
# The tree is made where there is none (debootstrap, as root, some minutes and 1.5 GB; TSNET_NEWEST says where), and is
# never changed by what runs in it: folders that are written to are empty ones in memory, this folder is /project there,
# and network, processes and mounts are its own.
set -eu

tree=${TSNET_NEWEST:-/var/tmp/tsnet-sid}
project=$(cd "$(dirname "$0")/.." && pwd)
packages=podman,netavark,aardvark-dns,docker.io,docker-cli,containerd,runc,crun,lxc,nftables,iptables,conntrack,containernetworking-plugins,iproute2,iputils-ping,iperf3,busybox-static,nodejs,socat,strace,tcpdump,procps,kmod,systemd,dbus-bin,wrk,catatonit,prometheus,docker-compose

if [ "$(id -u)" != 0 ]; then
  echo "$0: run it as root: it makes namespaces and mounts" >&2
  exit 1
fi

if [ ! -x "$tree/usr/bin/node" ]; then
  command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap >&2; }
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | sed -n '/debian\/*$/{p;q}')
  echo "$0: making a tree of Debian sid in $tree" >&2
  rm -rf "$tree.part"
  debootstrap --variant=minbase --include="$packages" sid "$tree.part" "${mirror:-http://deb.debian.org/debian}" >&2
  mv "$tree.part" "$tree"
fi

if [ $# -eq 0 ]; then
  cd "$project"
  set -- node scripts/test.js test/clients test/readme/runtime-pages.ts test/netns/bridge-role*.ts test/netns/drop-in-*.ts test/netns/loopback-role.ts \
    test/netns/nat-rules-*.ts test/netns/printed-commands.ts
fi

export tree project
# shellcheck disable=SC2016
exec unshare --mount --net --pid --fork --kill-child --propagation private sh -euc '
  mount --bind "$tree" "$tree"
  for kernel in sys dev; do mount --rbind /$kernel "$tree/$kernel"; done
  mount -t proc proc "$tree/proc"
  mkdir -p "$tree/project"
  mount --bind "$project" "$tree/project"
  # What is installed can be asked for all the same.
  mount --bind "$tree/var/lib/dpkg" "$tree/mnt"
  for written in run tmp var/lib var/log srv opt root etc/cni; do
    mkdir -p "$tree/$written"
    mount -t tmpfs -o mode=755 tmpfs "$tree/$written"
  done
  mkdir "$tree/var/lib/dpkg"
  mount --move "$tree/mnt" "$tree/var/lib/dpkg"
  chmod 1777 "$tree/tmp"
  mkdir -p "$tree/run/netns" "$tree/run/lock" "$tree/var/lib/cni" "$tree/run/outside"
  cd "$tree"
  pivot_root . run/outside
  umount -l /run/outside
  ip link set dev lo up
  cd /project
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
' newest "$@"
