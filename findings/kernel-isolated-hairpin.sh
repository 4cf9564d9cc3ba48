#!/bin/sh
# An isolated bridge port gets nothing back from itself, hairpin mode or not.
#
# Where:    Linux 6.18.44, set with iproute2 6.1.0-3 (Debian 12)
# Expected: hairpin mode sends a frame back through the port that it came in by. Isolation keeps isolated ports from each
#           other, of which one port is no pair; and a bridge takes both settings together without complaint
# Seen:     with hairpin alone the frame comes back, with hairpin and isolated it does not: the port counts as isolated
#           from itself
# Matters:  a container on an isolated port does not reach itself by an address that the host translates back to it
#
# Needs root (a network namespace of its own), python3, and Debian's iproute2, which is fetched in the version above.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root iproute2=6.1.0-3 >/dev/null
dpkg-deb -x iproute2_*.deb .

cat >ask.py <<'EOF'
"""Sends one broadcast frame from the far end of the port; says whether a copy came back."""
import socket, time
TYPE = 0x88B5  # for experiments, IEEE 802
end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE))
end.bind(("far", TYPE))
end.settimeout(0.1)
frame = b"\xff" * 6 + bytes.fromhex("020000000001") + TYPE.to_bytes(2, "big") + bytes(50)
came = False
until = time.monotonic() + 2
end.send(frame)
while not came and time.monotonic() < until:
    try:
        came = end.recvfrom(2000)[1][2] != socket.PACKET_OUTGOING
    except OSError:
        pass
print("comes back" if came else "does not")
EOF
unshare -n sh -eu >seen <<'EOF'
ip=./bin/ip
[ -x "$ip" ] || ip=./sbin/ip
bridge=./sbin/bridge
$ip link add br0 up type bridge
$ip link add port type veth peer name far
$ip link set port master br0
$ip link set port up
$ip link set far up
until $bridge link show dev port | grep -q 'state forwarding'; do sleep 0.1; done
echo "neither:              $(python3 ask.py)"
$bridge link set dev port hairpin on
echo "hairpin:              $(python3 ask.py)"
$bridge link set dev port isolated on
echo "hairpin and isolated: $(python3 ask.py)"
$bridge link set dev port isolated off
echo "hairpin again:        $(python3 ask.py)"
EOF
echo "kernel $(uname -r), $(dpkg-deb -f iproute2_*.deb Package Version | tr '\n' ' ')"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
neither:              does not
hairpin:              comes back
hairpin and isolated: does not
hairpin again:        comes back
EOF
echo 'as found'
