#!/bin/sh
# An alias that is given when a link is made is dropped without a word.
#
# Where:    Linux 6.18.44, asked by iproute2 6.1.0-3 (Debian 12) as by raw rtnetlink
# Expected: `ip link add NAME alias TEXT type bridge` makes a link with that alias, or fails: IFLA_IFALIAS is an attribute
#           of RTM_NEWLINK, and other attributes of the same message (address, mtu, txqueuelen) are taken
# Seen:     exit status 0, and a link without alias; the same words after `ip link set` are taken
# Matters:  who marks what is his own by an alias has, for a moment, a link that nobody owns; and by the exit status he
#           never learns that it stays so
#
# Needs root (a network namespace of its own) and Debian's iproute2, which is fetched in the version above.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root iproute2=6.1.0-3 >/dev/null
dpkg-deb -x iproute2_*.deb .

unshare -n sh -eu >seen <<'EOF'
ip=./bin/ip
[ -x "$ip" ] || ip=./sbin/ip
$ip link add made alias "mine" mtu 1400 type bridge && echo "made: exit status 0"
echo "mtu taken: $($ip link show made | grep -c 'mtu 1400' || true)"
echo "alias taken: $($ip link show made | grep -c 'alias mine' || true)"
$ip link set made alias "mine"
echo "alias taken when set later: $($ip link show made | grep -c 'alias mine' || true)"
EOF
echo "kernel $(uname -r), $(dpkg-deb -f iproute2_*.deb Package Version | tr '\n' ' ')"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
made: exit status 0
mtu taken: 1
alias taken: 0
alias taken when set later: 1
EOF
echo 'as found'
