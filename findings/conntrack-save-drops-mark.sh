#!/bin/sh
# What `conntrack -L -o save` saves has no marks, so that a table which is loaded again has lost them.
#
# Where:    conntrack 1:1.4.7-1+b2 (Debian 12); 1.4.9 writes the same
# Expected: `-o save` writes what `conntrack --load-file` makes the same entries of: addresses, ports, NAT, state, zone
#           and time are in it. The mark is one more that `conntrack -I` takes (`-m`) and the kernel gives
# Seen:     an entry with mark 7 is written without, and is loaded as mark 0. Nothing is said when it is saved or loaded
# Matters:  connections that were sent their way by CONNMARK and policy routing go another way after the table was carried
#           over, although everything else about them is as before
#
# Needs root (a network namespace of its own); conntrack is fetched in the version above.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -q -o APT::Sandbox::User=root conntrack=1:1.4.7-1+b2 libnetfilter-conntrack3 libnfnetlink0 libmnl0 >/dev/null ||
  { echo 'conntrack 1:1.4.7-1+b2 is not to be had' >&2; exit 2; }
for package in *.deb; do dpkg-deb -x "$package" .; done
unshare -n sh -eu >seen <<'EOF'
PATH=$PWD/usr/sbin:$PATH
LD_LIBRARY_PATH=$(echo "$PWD"/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH
show() { # what there is, but for what passes
  conntrack -L 2>/dev/null | sed 's/^\([a-z]* *[0-9]*\) [0-9]*/\1/; s/ use=1//'
}
conntrack -I -p tcp -s 192.0.2.1 -d 192.0.2.2 --sport 1000 --dport 80 --dst-nat 192.0.2.3:8080 --state ESTABLISHED \
  -u ASSURED -t 1000 -w 5 -m 7 2>/dev/null
echo "made:   $(show)"
conntrack -L -o save 2>/dev/null >saved
echo "saved:  $(sed 's/-t [0-9]*/-t …/' saved)"
conntrack -F 2>/dev/null
conntrack --load-file saved >/dev/null 2>&1
echo "loaded: $(show)"
EOF
dpkg-deb -f conntrack_*.deb Package Version | tr '\n' ' '
echo "kernel $(uname -r)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
made:   tcp      6 ESTABLISHED src=192.0.2.1 dst=192.0.2.2 sport=1000 dport=80 [UNREPLIED] src=192.0.2.3 dst=192.0.2.1 sport=8080 dport=1000 [ASSURED] mark=7 zone=5
saved:  -A -t … -u ASSURED -w 5 -s 192.0.2.1 -d 192.0.2.2 -g 192.0.2.3 -q 192.0.2.1 -p tcp --sport 1000 --dport 80 --reply-port-src 8080 --reply-port-dst 1000 --state ESTABLISHED
loaded: tcp      6 ESTABLISHED src=192.0.2.1 dst=192.0.2.2 sport=1000 dport=80 [UNREPLIED] src=192.0.2.3 dst=192.0.2.1 sport=8080 dport=1000 [ASSURED] mark=0 zone=5
EOF
echo 'as found'
