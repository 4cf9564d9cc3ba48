#!/bin/sh
# Installs the Debian packages that the tests run against: firewalls, tools that look at the kernel, and
# the runtimes whose calls we answer. Does nothing where all of them are there. With names, those packages alone.
set -eu

packages="iproute2 iptables nftables conntrack containernetworking-plugins containerd runc crun podman catatonit
  docker.io lxc busybox-static dnsmasq-base musl-tools socat tcpdump strace iputils-ping util-linux systemd wrk procps
  ufw firewalld dbus network-manager iperf3 etcd-server etcd-client openssl
  prometheus docker-compose git curl"

[ $# -gt 0 ] && packages=$*

missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "these tests need the Debian packages:$missing" >&2
  exit 1
fi
echo "installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# policy-rc.d keeps the daemons from being started on this machine: the tests start their own, in sandboxes.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >&2
