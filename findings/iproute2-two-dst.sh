#!/bin/sh
# `ip -j route` gives a route in a tunnel two destinations, and readers of JSON keep the wrong one.
#
# Where:    iproute2 6.1.0-3 (Debian 12)
# Expected: an object of `ip -j route` has each key once, and `dst` is what the route leads to
# Seen:     for a route with `encap ip` or `encap ip6` the tunnel's `id`, `src` and `dst` stand among the route's own keys,
#           so `dst` is there twice in one object. JavaScript, Python and jq keep the last one without a word: the route to
#           10.24.0.0/16 reads as one to the host 10.9.0.7. `encap seg6` has other keys, and is right. iproute2 7.3.0 puts
#           them into an object of their own, and with that `encap` is no text any more but an object
# Matters:  a program that looks for a free subnet, or for the route by which a prefix leaves, does not see this one; and who
#           reads `encap` has two types to expect
#
# Needs root (a network namespace of its own) and python3; iproute2 is fetched in the version above.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root iproute2=6.1.0-3 >/dev/null ||
  { echo 'iproute2 6.1.0-3 is not to be had' >&2; exit 2; }
dpkg-deb -x iproute2_*.deb .
cat >read.py <<'EOF'
import json, sys
route = sys.stdin.read()
pairs = json.loads(route, object_pairs_hook=lambda pairs: pairs)[0]
print(" dst is written", [value for key, value in pairs if key == "dst"])
print(" dst is read as", json.loads(route)[0]["dst"], "encap", json.loads(route)[0]["encap"])
EOF
unshare -n sh -eu >seen <<'EOF'
PATH=$PWD/bin:$PWD/sbin:$PATH
ip link add name br0 up type bridge
ip address add 10.9.0.1/24 dev br0
ip address add 2001:db8::1/64 dev br0 nodad
ip route add 10.24.0.0/16 encap ip id 5 dst 10.9.0.7 dev br0
ip route add 2001:db8:9::/48 encap ip6 id 5 dst 2001:db8::7 dev br0
ip route add 10.25.0.0/16 dev br0 encap seg6 mode encap segs 2001:db8::9
for to in '-4 10.24.0.0/16' '-6 2001:db8:9::/48' '-4 10.25.0.0/16'; do
  ip "${to% *}" route show "${to#* }" | sed 's/ *$//'
  ip -j "${to% *}" route show "${to#* }" | python3 read.py
done
EOF
dpkg-deb -f iproute2_*.deb Package Version | tr '\n' ' '
echo "kernel $(uname -r)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
10.24.0.0/16  encap ip id 5 src 0.0.0.0 dst 10.9.0.7 ttl 0 tos 0 dev br0 scope link
 dst is written ['10.24.0.0/16', '10.9.0.7']
 dst is read as 10.9.0.7 encap ip
2001:db8:9::/48  encap ip6 id 5 src :: dst 2001:db8::7 hoplimit 0 tc 0 dev br0 metric 1024 pref medium
 dst is written ['2001:db8:9::/48', '2001:db8::7']
 dst is read as 2001:db8::7 encap ip6
10.25.0.0/16  encap seg6 mode encap segs 1 [ 2001:db8::9 ] dev br0 scope link
 dst is written ['10.25.0.0/16']
 dst is read as 10.25.0.0/16 encap seg6
EOF
echo 'as found'
