#!/bin/sh
# nft does not take what `nft -j list ruleset` wrote, or takes it and makes something else of it.
#
# Where:    nftables 1.0.6-2+deb12u2 (Debian 12). 1.1.7 keeps all of these but the counts of a set's elements
# Expected: what `nft -j list ruleset` prints, `nft -j -f -` loads, and the rules are the same; the text format does so for all
#           of these
# Seen:     refused as a whole: a map to address and port, which is how several ports are led on by one rule ("Invalid map
#           type", of the type's own name in the JSON); a map whose entries jump to a chain, since chains are written
#           after maps; a synproxy object ("Unknown object"). Loaded with success, yet less than before: the policy of a
#           `ct timeout`, `flags dynamic` of a set, comments of tables and chains, counts of elements
# Matters:  JSON is for programs, and who keeps a ruleset in it learns only when it is restored
#
# Needs root (a network namespace of its own); nft is fetched in the version above.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11 libmnl0 libedit2 \
  libjansson4 libxtables12 >/dev/null || { echo 'nftables 1.0.6-2+deb12u2 is not to be had' >&2; exit 2; }
for package in *.deb; do dpkg-deb -x "$package" .; done
unshare -n sh -eu >seen <<'EOF'
PATH=$PWD/usr/sbin:$PATH
LD_LIBRARY_PATH=$(echo "$PWD"/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH
again() { # WHAT, with its text on standard input: whether it comes back from text and from JSON
  { echo 'table inet t {'; cat; echo '}'; } >wanted
  nft flush ruleset
  nft -f wanted
  nft list ruleset >text
  nft -j list ruleset >json
  nft flush ruleset
  nft -f text
  nft list ruleset | cmp -s text - && by_text=same || by_text=differs
  nft flush ruleset
  if nft -j -f json 2>said; then
    nft list ruleset | diff text - >lost && by_json=same || by_json="lost $(sed -n 's/^<\s*//p' lost | tr '\n' ' ')"
  else
    by_json=$(sed -n 's/.*Error/refused/p' said | head -n 1)
  fi
  echo "$1: by text $by_text, by JSON ${by_json% }"
}
echo 'map m { type inet_service : ipv4_addr; elements = { 80 : 10.0.0.2 } }' | again 'map to an address'
echo 'map m { type inet_service : ipv4_addr . inet_service; elements = { 80 : 10.0.0.2 . 8080 } }' |
  again 'map to address and port'
echo 'chain web { }
map m { type inet_service : verdict; elements = { 80 : jump web } }' | again 'map to a chain'
echo 'synproxy s { mss 1460; wscale 7; timestamp sack-perm; }' | again 'synproxy'
echo 'ct timeout short { protocol tcp; l3proto ip; policy = { established : 120 }; }' | again 'ct timeout'
echo 'set s { type ipv4_addr; size 100; flags dynamic,timeout; }' | again 'dynamic set'
echo 'chain web { comment "ours"; }' | again 'comment'
echo 'set s { type ipv4_addr; counter; elements = { 10.0.0.1 counter packets 5 bytes 500 } }' | again 'counts'
EOF
dpkg-deb -f nftables_*.deb Package Version | tr '\n' ' '
echo "kernel $(uname -r)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
map to an address: by text same, by JSON same
map to address and port: by text same, by JSON refused: Invalid map type 'ipv4_addr . inet_service'.
map to a chain: by text same, by JSON refused: Could not process rule: No such file or directory
synproxy: by text same, by JSON refused: Unknown object passed to add command.
ct timeout: by text same, by JSON lost l3proto ip policy = { established : 120 }
dynamic set: by text same, by JSON lost flags dynamic,timeout
comment: by text same, by JSON lost comment "ours"
counts: by text same, by JSON lost elements = { 10.0.0.1 counter packets 5 bytes 500 }
EOF
echo 'as found'
