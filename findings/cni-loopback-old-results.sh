#!/bin/sh
# The reference loopback plugin answers old versions of the spec in the shape of the newest, with their number on it.
#
# Where:    containernetworking-plugins 1.1.1+ds1-3+b5 (Debian 12); 1.9.1 does the same. Other plugins of both convert
# Expected: a result has the shape of the version that it names, which is the one it was asked in: 0.1.0 and 0.2.0 have `ip4`
#           and `ip6`; 0.3.0 to 0.4.0 have `ips` in which each `version` is "4" or "6"; that went with 1.0.0
# Seen:     asked in 0.2.0 it answers "cniVersion": "0.2.0" with `interfaces` and `ips`, asked in 0.4.0 without any `version`.
#           The next plugin of the chain reads by the number: portmap passes an empty result on for 0.2.0, and
#           `"version": ""` for 0.4.0.
# Matters:  addresses get lost between two plugins of one release that both report success
#
# Needs root (namespaces of its own) and python3; the plugins are fetched in the version above.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root containernetworking-plugins=1.1.1+ds1-3+b5 >/dev/null ||
  { echo 'containernetworking-plugins 1.1.1+ds1-3+b5 is not to be had' >&2; exit 2; }
dpkg-deb -x containernetworking-plugins_*.deb .
cat >ask.py <<'EOF'
import json, os, subprocess

def add(plugin, version, interface, **more):
    asked = {"cniVersion": version, "name": "net", "type": plugin, **more}
    env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "box", "CNI_NETNS": "/run/netns/box", "CNI_IFNAME": interface}
    env["CNI_PATH"] = "usr/lib/cni"
    env = {**os.environ, **env}
    return json.loads(subprocess.check_output([f"usr/lib/cni/{plugin}"], input=json.dumps(asked), env=env, text=True))

def shape(result):
    """The keys of a result that hold addresses; of `ips`, the first one's version."""
    keys = [key for key in ("ip4", "ip6", "ips") if key in result]
    version = [repr(ips.get("version")) for ips in result.get("ips", [])[:1]]
    return " ".join([result["cniVersion"], *(keys or ["no address"]), *(f"version {each}" for each in version)])

for number, version in enumerate(("0.2.0", "0.4.0", "1.0.0")):
    result = add("loopback", version, "lo")
    print("loopback:", shape(result))
    print(" and then portmap:", shape(add("portmap", version, "lo", prevResult=result)))
    ipam = {"type": "host-local", "subnet": f"10.92.{number}.0/24", "dataDir": os.getcwd() + "/leases"}
    print("ptp:", shape(add("ptp", version, f"eth{number}", ipam=ipam)))
EOF
unshare -mn sh -eu >seen <<'EOF'
mount -t tmpfs none /run
mkdir -p /run/netns
ip netns add box
python3 ask.py
ip netns del box
EOF
dpkg-deb -f containernetworking-plugins_*.deb Package Version | tr '\n' ' '
echo
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
loopback: 0.2.0 ips version None
 and then portmap: 0.2.0 no address
ptp: 0.2.0 ip4
loopback: 0.4.0 ips version None
 and then portmap: 0.4.0 ips version ''
ptp: 0.4.0 ips version '4'
loopback: 1.0.0 ips version None
 and then portmap: 1.0.0 ips version None
ptp: 1.0.0 ips version None
EOF
echo 'as found'
