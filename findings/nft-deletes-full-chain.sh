#!/bin/sh
# `nft delete chain` takes the rules along that its manual says must not be there.
#
# Where:    nft 1.0.6 (Debian's 1.0.6-2+deb12u2), Linux 6.18.44
# Expected: nft(8): "The chain must not contain any rules or be used as jump target", as iptables -X has it, which refuses
# Seen:     a chain with rules is deleted with them, without a word, a base chain that filters too; only the jump target is
#           refused. iptables-nft, over the same kernel, refuses the chain that is not empty
# Matters:  who deletes a shared chain "if nobody has rules in it any more", and lets the refusal decide, deletes others' rules
#
# Needs root (namespaces of its own) and iptables; nft is fetched in the version above.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 >/dev/null
for package in *.deb; do dpkg-deb -x "$package" .; done
LD_LIBRARY_PATH=$(dirname "$dir"/usr/lib/*/libnftables.so.1)
export LD_LIBRARY_PATH
unshare -mn sh -u >seen 2>&1 <<'EOF'
nft() { ./usr/sbin/nft "$@" 2>/dev/null; }
said() { if "$@" 2>/dev/null; then echo deleted; else echo refused; fi; }
nft -f - <<RULES
table inet ours {
  chain shared { tcp dport 80 accept; tcp dport 443 accept; }
  chain input { type filter hook input priority 0; policy accept; tcp dport 22 drop; }
  chain led { accept; }
  chain leads { jump led; }
}
RULES
echo "a chain with two rules: $(said nft delete chain inet ours shared)"
echo "a base chain with a rule: $(said nft delete chain inet ours input)"
echo "one that is jumped to: $(said nft delete chain inet ours led)"
echo "left: $(nft list chains inet | grep -o 'chain [a-z]*' | tr '\n' ' ')"
iptables-nft -N shared
iptables-nft -A shared -j ACCEPT
echo "iptables -X of a chain with a rule: $(said iptables-nft -X shared)"
EOF
./usr/sbin/nft --version
zcat usr/share/man/man8/nft.8.gz | grep -o 'The chain must not contain any rules or be used as jump target'
echo "kernel $(uname -r), $(iptables --version)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
a chain with two rules: deleted
a base chain with a rule: deleted
one that is jumped to: refused
left: chain led chain leads 
iptables -X of a chain with a rule: refused
EOF
echo 'as found'
