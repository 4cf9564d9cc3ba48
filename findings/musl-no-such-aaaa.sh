#!/bin/sh
# musl finds no address of a name that has one, when the server says of its other family that there is no such name.
#
# Where:    musl 1.2.3-1 beside glibc 2.36-9+deb12u (Debian 12)
# Expected: getaddrinfo with AF_UNSPEC asks for A and AAAA. An A record is an answer; what the server says to AAAA, if it is
#           no address, adds nothing. Small DNS servers that know A alone answer AAAA with NXDOMAIN, REFUSED or NOTIMP
# Seen:     glibc finds the address each time; musl does not, with any of these three. NOERROR without a
#           record is the one answer with which both find the address
# Matters:  a name server for containers works in Debian images and not in Alpine ones
#
# Needs root (namespaces of its own), gcc, python3; musl is fetched in the version above. Speaks to 127.0.0.1 only.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root musl=1.2.3-1 musl-dev=1.2.3-1 >/dev/null
for package in musl_*.deb musl-dev_*.deb; do dpkg-deb -x "$package" .; done

cat >ask.c <<'EOF'
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int count, char **words) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
  (void)count;
  puts(getaddrinfo(words[1], NULL, &hints, &found) == 0 && found != NULL ? "found" : "not found");
  return 0;
}
EOF
cat >serve.py <<'EOF'
"""Answers A with 192.0.2.1, and AAAA with the code that the name begins with: r3.example with NXDOMAIN."""
import socket, struct
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
open("ready", "w").close()
while True:
    asked, client = server.recvfrom(512)
    end = asked.index(0, 12) + 5
    kind, = struct.unpack("!H", asked[end - 4:end - 2])
    question, code = asked[12:end], int(asked[14:15])
    record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01" if kind == 1 else b""
    flags = 0x8180 | (0 if kind == 1 else code)
    server.sendto(asked[:2] + struct.pack("!5H", flags, 1, len(record) > 0, 0, 0) + question + record, client)
EOF
triplet=$(gcc -dumpmachine | sed 's/-gnu$/-musl/')
lib=./usr/lib/$triplet
gcc -o with-glibc ask.c
gcc -static -nostdinc -isystem "./usr/include/$triplet" -nostdlib -no-pie -fno-pie -o with-musl "$lib/crt1.o" "$lib/crti.o" ask.c \
  -Wl,--start-group "$lib/libc.a" "$(gcc -print-libgcc-file-name)" "$(gcc -print-file-name=libgcc_eh.a)" -Wl,--end-group "$lib/crtn.o"

echo 'nameserver 127.0.0.1' >resolv.conf
echo 'hosts: dns' >nsswitch.conf
unshare -mn sh -eu >seen <<'EOF'
mount --bind resolv.conf "$(readlink -f /etc/resolv.conf)"
mount --bind nsswitch.conf /etc/nsswitch.conf
until ip link set lo up; do sleep 0.1; done
python3 serve.py & server=$!
until [ -e ready ]; do sleep 0.1; done
for answer in 'r0 NOERROR' 'r3 NXDOMAIN' 'r4 NOTIMP' 'r5 REFUSED'; do
  set -- $answer
  echo "AAAA $2: glibc $(./with-glibc $1.example), musl $(./with-musl $1.example)"
done
kill $server
EOF
echo "$(dpkg-deb -f musl_*.deb Package Version | tr '\n' ' ')$(dpkg-query -W -f 'glibc ${Version}' libc6)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
AAAA NOERROR: glibc found, musl found
AAAA NXDOMAIN: glibc found, musl not found
AAAA NOTIMP: glibc found, musl not found
AAAA REFUSED: glibc found, musl not found
EOF
echo 'as found'
