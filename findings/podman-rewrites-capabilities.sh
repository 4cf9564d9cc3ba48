#!/bin/sh
# podman 4 takes the capabilities of a CNI network's first plugin away when it sets an address.
#
# Where:    podman 4.3.1+ds1-8+deb12u1+b3 (Debian 12), network_backend = "cni"
# Expected: `podman run --ip` adds `ips` to what the runtime passes on; a plugin whose list declares
#           "capabilities": {"portMappings": true} goes on to be told the ports of `-p`
# Seen:     the first plugin is called with "capabilities": {"ips": true} in place of its own, and hears of no port; without
#           --ip it does. Nothing is said, and no port leads to the container
# Matters:  an option of `podman run` that has nothing to do with ports takes them from a network whose one plugin does all
#
# Needs root and Debian's podman and runc or crun in that version, which is looked at and not installed: it comes with
# half a system. What podman keeps is in a temporary folder.
set -eu
wanted='4.3.1+ds1-8+deb12u1+b3'
found=$(dpkg-query -W -f '${Version}' podman 2>/dev/null || true)
[ "$found" = "$wanted" ] || { echo "podman $wanted is needed, here is ${found:-none}"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/plugins" "$dir/nets" "$dir/rootfs" "$dir/rootfs/bin" "$dir/store"

# Says what it is given, and does nothing.
cat >"$dir/plugins/spy" <<EOF
#!/bin/sh
[ "\$CNI_COMMAND" = VERSION ] && { echo '{"cniVersion":"0.4.0","supportedVersions":["0.4.0"]}'; exit; }
[ "\$CNI_COMMAND" = ADD ] || exit 0
cat >>$dir/heard
echo >>$dir/heard
echo '{"cniVersion":"0.4.0","interfaces":[{"name":"eth0","mac":"02:00:00:00:00:07","sandbox":"'\$CNI_NETNS'"}],
  "ips":[{"version":"4","interface":0,"address":"10.91.0.7/24"}],"dns":{}}'
EOF
chmod +x "$dir/plugins/spy"
cat >"$dir/nets/10-spied.conflist" <<EOF
{ "cniVersion": "0.4.0", "name": "spied", "plugins": [ { "type": "spy", "bridge": "spy0",
  "capabilities": { "portMappings": true },
  "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.91.0.0/24" }]] } } ] }
EOF
cat >"$dir/containers.conf" <<EOF
[network]
network_backend = "cni"
cni_plugin_dirs = ["$dir/plugins"]
network_config_dir = "$dir/nets"
default_network = "spied"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
EOF
run() { # what is started does not matter: the network comes first
  : >"$dir/heard"
  CONTAINERS_CONF=$dir/containers.conf unshare -mn timeout 60 podman --root "$dir/store" --runroot "$dir/run" \
    --tmpdir "$dir/tmp" --storage-driver vfs run --rm --network spied -p 127.0.0.1:18080:80 "$@" \
    --rootfs "$dir/rootfs" /none >"$dir/log" 2>&1 || true
  [ -s "$dir/heard" ] || { cat "$dir/log"; exit 2; }
  python3 - "$dir/heard" <<'EOF'
import json, sys
with open(sys.argv[1]) as heard:
    first = json.JSONDecoder().raw_decode(heard.read())[0]
print(" capabilities", json.dumps(first.get("capabilities"), sort_keys=True))
ports = first.get("runtimeConfig", {}).get("portMappings") or []
print(" ports", [each["containerPort"] for each in ports])
EOF
}
{
  echo 'without --ip:' && run
  echo 'with --ip:' && run --ip 10.91.0.7
} >"$dir/seen"
podman --version
cat "$dir/seen"
diff "$dir/seen" - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
without --ip:
 capabilities {"portMappings": true}
 ports [80]
with --ip:
 capabilities {"ips": true}
 ports []
EOF
echo 'as found'
