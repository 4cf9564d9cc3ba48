#!/bin/sh
# fchown(2) on a socket decides with whom it shares its port.
#
# Where:    Linux 6.18.44; python3 as the caller of plain system calls
# Expected: SO_REUSEPORT lets in sockets "of the same effective user": that of the process. A socket is no file with an
#           owner that would count for anything; fchown on one looks like a call without effect
# Seen:     the kernel compares the owners of the two sockets' inodes. One process, root all along, opens four sockets:
#           those that were given to the same user share a port, the others are refused with EADDRINUSE. The owner may
#           be changed before bind, and the user need not exist
# Matters:  a service of root can so keep its port to its own threads, which SO_REUSEPORT alone would open to every
#           process of root's
#
# Needs root and python3; listens on 127.0.0.1 only.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/ask.py" <<'EOF'
import errno, os, socket

def open_as(uid):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if uid is not None:
        os.fchown(one.fileno(), uid, -1)
    return one

first = open_as(70001)
first.bind(("127.0.0.1", 0))
first.listen()
for uid in (70001, 70002, None):
    with open_as(uid) as other:
        try:
            other.bind(first.getsockname())
            other.listen()
            said = "shares the port"
        except OSError as error:
            said = errno.errorcode[error.errno]
    print(f"of user {'root' if uid is None else uid}: {said}")
EOF
python3 "$dir/ask.py" >"$dir/seen"
echo "kernel $(uname -r), effective user $(id -u); the first socket is of user 70001"
cat "$dir/seen"
diff "$dir/seen" - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
of user 70001: shares the port
of user 70002: EADDRINUSE
of user root: EADDRINUSE
EOF
echo 'as found'
