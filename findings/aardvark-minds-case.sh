#!/bin/sh
# podman's name server knows a container by its name in small letters alone, and says of all others that there are none.
#
# Where:    aardvark-dns 1.4.0-3 (Debian 12); 1.17.1 finds the name in any case
# Expected: names are compared without regard to case (RFC 4343): a container `Web` is found as Web, web and WEB
# Seen:     the configuration's names are made small, those of questions are not. `Web` is NXDOMAIN, under the very name
#           that podman was given, as is `DB` for `db`; small letters find both
# Matters:  `podman run --name Web` makes a container that its neighbours do not find by that name; and a resolver that mixes
#           letters on purpose, so that forged answers can be told, finds nobody at all most of the time
#
# Needs root (namespaces of its own) and python3; aardvark-dns is fetched in the version above. Speaks to its own bridge only.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root aardvark-dns=1.4.0-3 >/dev/null ||
  { echo 'aardvark-dns 1.4.0-3 is not to be had' >&2; exit 2; }
dpkg-deb -x aardvark-dns_*.deb .
mkdir nets
cat >nets/front <<'EOF'
10.89.0.1
0123456789abcdef 10.89.0.2  Web
0123456789abcdee 10.89.0.3  db
EOF
cat >ask.py <<'EOF'
import socket, time
server = ("10.89.0.1", 53)

def ask(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(1)
        end.connect(server)
        for _ in range(10):
            try:
                end.send(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1")
                answer = end.recv(512)
                return socket.inet_ntoa(answer[-4:]) if answer[7] else {0: "no address", 3: "NXDOMAIN"}[answer[3] & 15]
            except OSError:
                time.sleep(0.2)
        return "no answer"

for name in ("Web", "web", "db", "DB", "db.dns.podman"):
    print(f"{name}: {ask(name)}")
EOF
unshare -mnpf --kill-child sh -eu >seen <<'EOF'
until ip link set lo up; do sleep 0.1; done
ip link add name br0 up type bridge
ip address add 10.89.0.1/24 dev br0
# Goes into the background by itself, and ends with this namespace of processes.
./usr/lib/podman/aardvark-dns --config nets --port 53 run >log 2>&1 &
python3 ask.py
EOF
dpkg-deb -f aardvark-dns_*.deb Package Version | tr '\n' ' '
echo
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
Web: NXDOMAIN
web: 10.89.0.2
db: 10.89.0.3
DB: NXDOMAIN
db.dns.podman: 10.89.0.3
EOF
echo 'as found'
