#!/bin/sh
# iptables-translate turns a rule that marks connections into one that does nothing, and TOS of IPv4 into IPv6.
#
# Where:    iptables 1.8.9-2 with nftables 1.0.6 (Debian 12); 1.8.13 with nft 1.1.7 translates both as well
# Expected: the translation, loaded by nft, does what the rule did, or the rule is left as a comment with `#`
# Seen:     `-j CONNMARK --set-mark 0x10/0xff` becomes `ct mark set ct mark xor 0x10 and 0xffffff00`. For nft `and` binds
#           more tightly than `xor`, so 0x10 is gone before it is used: it lists the rule as `ct mark set ct mark`, and the
#           connection has mark 0 where iptables gives it 16. MARK with the same words comes out in the right order, as does
#           CONNMARK without a mask. `-j TOS --set-tos 0x10` of iptables becomes `ip6 dscp`, which nft refuses in table ip
# Matters:  who moves to nftables by iptables-restore-translate has policy routing that no longer finds its mark, and not an
#           error
#
# Needs root (a network namespace of its own) and python3; the programs are fetched in the versions above. Speaks to 127.0.0.1.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root iptables=1.8.9-2 libxtables12=1.8.9-2 libnftnl11 libmnl0 \
  conntrack libnetfilter-conntrack3 libnfnetlink0 nftables=1.0.6-2+deb12u2 \
  libnftables1=1.0.6-2+deb12u2 libedit2 libjansson4 >/dev/null ||
  { echo 'iptables 1.8.9-2 or nftables 1.0.6-2+deb12u2 is not to be had' >&2; exit 2; }
for package in *.deb; do dpkg-deb -x "$package" .; done
cat >send.py <<'EOF'
import socket
here, there = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
there.bind(("127.0.0.1", 0))
here.sendto(b"x", there.getsockname())
there.recv(9)
EOF
unshare -n sh -eu >seen <<'EOF'
PATH=$PWD/usr/sbin:$PATH
LD_LIBRARY_PATH=$(echo "$PWD"/usr/lib/*-linux-gnu)
XTABLES_LIBDIR=$LD_LIBRARY_PATH/xtables
export LD_LIBRARY_PATH XTABLES_LIBDIR
until ip link set lo up; do sleep 0.1; done
translate() { xtables-nft-multi iptables-translate -t mangle -A OUTPUT "$@"; }
mark() { # sends a datagram, and says how its connection is marked
  env -u LD_LIBRARY_PATH python3 send.py
  conntrack -L -p udp 2>/dev/null | grep -o 'mark=[0-9]*'
  conntrack -F 2>/dev/null
}
set -- -j CONNMARK --set-mark 0x10/0xff
xtables-nft-multi iptables -t mangle -A OUTPUT "$@"
echo "iptables: $(mark)"
nft flush ruleset
nft 'table ip mangle { chain OUTPUT { type filter hook output priority mangle; }; }'
translate "$@"
eval "$(translate "$@")"
nft list chain ip mangle OUTPUT | grep -o 'ct mark.*'
echo "its translation: $(mark)"
translate -j CONNMARK --set-mark 0x10
translate -j MARK --set-mark 0x10/0xff
translate -j TOS --set-tos 0x10
eval "$(translate -j TOS --set-tos 0x10)" 2>&1 | grep -o 'conflicting.*'
EOF
for package in iptables nftables; do dpkg-deb -f "$package"_*.deb Package Version | tr '\n' ' '; done
echo "kernel $(uname -r)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
iptables: mark=16
nft 'add rule ip mangle OUTPUT counter ct mark set ct mark xor 0x10 and 0xffffff00'
ct mark set ct mark
its translation: mark=0
nft 'add rule ip mangle OUTPUT counter ct mark set 0x10'
nft 'add rule ip mangle OUTPUT counter meta mark set mark and 0xffffff00 xor 0x10'
nft 'add rule ip mangle OUTPUT counter ip6 dscp set 0x04'
conflicting protocols specified: ip vs. ip6
EOF
echo 'as found'
