#!/bin/sh
# DEL of one interface fails, and takes the masquerade of the container's other one with it.
#
# Where:    containernetworking-plugins 1.1.1+ds1-3+b5 (Debian 12), iptables 1.8.9
# Expected: a container may be attached to one network twice, by two interface names (CNI spec: an attachment is network,
#           container and interface), and DEL of one leaves the other as it is
# Seen:     the chain is named by network and container alone. ADD of the second interface joins it; DEL of the first
#           empties the chain, and fails to remove it since the second one's rule leads there. Asked again, it reports success.
#           What the second interface sends leaves with its private address from then on, and CHECK of it reports success
# Matters:  a DEL changes another attachment, and nothing that can be asked says so
#
# Needs root (namespaces of its own) and iptables; the plugins are fetched in the version above.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root containernetworking-plugins=1.1.1+ds1-3+b5 >/dev/null
dpkg-deb -x containernetworking-plugins_*.deb .
cat >conf.json <<EOF
{ "cniVersion": "0.4.0", "name": "twice", "type": "bridge", "bridge": "twice0", "isGateway": true, "ipMasq": true,
  "ipam": { "type": "host-local", "subnet": "10.92.0.0/24", "dataDir": "$dir/leases" } }
EOF
unshare -mn sh -eu >seen <<'EOF'
mount -t tmpfs none /run
mkdir -p /run/netns
ip netns add box
plugin() { # COMMAND INTERFACE
  CNI_COMMAND=$1 CNI_CONTAINERID=box CNI_NETNS=/run/netns/box CNI_IFNAME=$2 CNI_PATH=$PWD/usr/lib/cni \
    ./usr/lib/cni/bridge <"${3:-conf.json}" >"answer-$2"
}
rules() { # "1, 1": rules that lead addresses to the chain, rules in it that masquerade
  iptables -t nat -S | grep -c -- '-A POSTROUTING .*-j CNI-' || true
  iptables -t nat -S | grep -c -- '-j MASQUERADE' || true
}
plugin ADD eth0; echo "ADD eth0: success," $(rules)
plugin ADD eth1; echo "ADD eth1: success," $(rules)
cp answer-eth1 kept
if plugin DEL eth0; then echo "DEL eth0: success," $(rules); else echo "DEL eth0: error," $(rules); fi
plugin DEL eth0 && echo "DEL eth0 again: success," $(rules)
echo "eth1: $(ip -n box -4 -o address show eth1 | grep -c 10.92) address"
python3 -c 'import json; print(json.dumps({**json.load(open("conf.json")), "prevResult": json.load(open("kept"))}))' >check.json
plugin CHECK eth1 check.json && echo "CHECK eth1: success"
ip netns del box
EOF
dpkg-deb -f containernetworking-plugins_*.deb Package Version | tr '\n' ' '
iptables --version
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
ADD eth0: success, 1 1
ADD eth1: success, 2 1
DEL eth0: error, 1 0
DEL eth0 again: success, 1 0
eth1: 1 address
CHECK eth1: success
EOF
echo 'as found'
