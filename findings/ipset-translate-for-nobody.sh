#!/bin/sh
# ipset-translate writes for nft what nft refuses, and asks the running kernel about sets that it is only to translate.
#
# Where:    ipset 7.17-1 with nftables 1.0.6-2+deb12u2 (Debian 12)
# Expected: `ipset-translate restore` turns what `ipset save` wrote into commands for `nft -f`, from text to text, and says
#           what has no like there
# Seen:     ports as a range go into a set without `flags interval`, which nft refuses. The exception (`nomatch`) becomes an
#           entry like the others, without a word, and nft refuses it for its overlap. And all that holds only for who is
#           root on a kernel that has the set's type: as another user nothing is translated, with "Kernel error received:
#           Operation not permitted"
# Matters:  a firewall cannot be translated where it is going to: on a host, or in a build, that has nftables alone
#
# Needs root (a network namespace of its own) and a kernel with ipset; ipset and nft are fetched in the versions above.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
chmod 755 .
apt-get download -q -o APT::Sandbox::User=root ipset=7.17-1 libipset13=7.17-1 libmnl0 libnftnl11 nftables=1.0.6-2+deb12u2 \
  libnftables1=1.0.6-2+deb12u2 libxtables12 libedit2 libjansson4 >/dev/null ||
  { echo 'ipset 7.17-1 or nftables 1.0.6-2+deb12u2 is not to be had' >&2; exit 2; }
for package in *.deb; do dpkg-deb -x "$package" .; done
unshare -n sh -eu >seen 2>&1 <<'EOF'
PATH=$PWD/usr/sbin:$PATH
LD_LIBRARY_PATH=$(echo "$PWD"/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH
translate() { # TYPE ENTRY …: what comes out after the table, and what nft says to it
  echo "$1:"
  { echo "create it $1"; shift; for entry; do echo "add it $entry"; done; } >saved
  ipset-translate restore <saved >translated
  sed -n '/ set \| element /s/.* global it/ /p' translated
  nft -f translated 2>&1 | sed -n 's/.*Error/  Error/p'
  nft flush ruleset
}
translate 'hash:net' 10.0.0.0/8 '10.1.0.0/16 nomatch'
translate 'bitmap:port range 1-1024' 80-90
translate 'bitmap:port range 1-1024' 80
echo "as nobody:"
setpriv --reuid 65534 --regid 65534 --clear-groups ipset-translate restore <saved >translated ||
  echo "elements: $(grep -c element translated || true)"
EOF
for package in ipset nftables; do dpkg-deb -f "$package"_*.deb Package Version | tr '\n' ' '; done
echo
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
hash:net:
  { type ipv4_addr; flags interval; }
  { 10.0.0.0/8 }
  { 10.1.0.0/16 }
  Error: conflicting intervals specified
bitmap:port range 1-1024:
  { type inet_service; }
  { 80-90 }
  Error: You must add 'flags interval' to your set declaration if you want to add range elements
bitmap:port range 1-1024:
  { type inet_service; }
  { 80 }
as nobody:
ipset v7.17: Error in line 1: Kernel error received: Operation not permitted
elements: 0
EOF
echo 'as found'
