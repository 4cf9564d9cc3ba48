#!/bin/sh
# A netlink socket that joined a group hears nothing as long as it has no address, and leaves the group when it gets one.
#
# Where:    Linux 6.18.44; python3 as the caller of plain system calls
# Expected: NETLINK_ADD_MEMBERSHIP joins a group, and is the newer way beside nl_groups of bind(2); whether a socket has been
#           bound plays no part in what is sent to a group, and an address of 0 groups names no group
# Seen:     a socket that joined and was never bound nor used to send is in the group (getsockname says so), and receives
#           none of its messages: whoever has no port yet has that of the kernel, and what the kernel sends is not sent back
#           to its sender. bind() after it, with 0 groups, takes it out of the group. bind or connect first, or one request
#           sent, and it hears all
# Matters:  nothing fails: a watcher that is set up in that order waits for ever
#
# Needs root (a network namespace of its own), iproute2 and python3.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/ask.py" <<'EOF'
import socket, struct, subprocess

SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK = 270, 1, 1
REQUEST = struct.pack("IHHII", 16, 1, 0, 0, 0)  # NLMSG_NOOP
join = lambda one: one.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK)
bind = lambda one: one.bind((0, 0))
connect = lambda one: one.connect((0, 0))
send = lambda one: one.send(REQUEST)

for name, steps in {
    "join": [join], "join, bind": [join, bind], "bind, join": [bind, join],
    "join, connect": [join, connect], "join, send": [join, send],
}.items():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as one:
        for step in steps:
            step(one)
        subprocess.run("ip link add here type veth peer name there; ip link del here", shell=True, check=True)
        one.setblocking(False)
        heard = 0
        try:
            while one.recv(65536):
                heard += 1
        except BlockingIOError:
            pass
        member = "a member" if one.getsockname()[1] == RTNLGRP_LINK else "no member"
        print(f"{name}: {member}, hears {'links' if heard else 'nothing'}")
EOF
unshare -n python3 "$dir/ask.py" >"$dir/seen"
echo "kernel $(uname -r); a pair of links is made and deleted each time"
cat "$dir/seen"
diff "$dir/seen" - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
join: a member, hears nothing
join, bind: no member, hears nothing
bind, join: a member, hears links
join, connect: a member, hears links
join, send: a member, hears links
EOF
echo 'as found'
