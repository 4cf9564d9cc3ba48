# Links, addresses and settings of a host as 0.1.0 left them: web and api on br-front, plain on cni9 by a chain of drop-ins.
set -e

make_bridge() { # name, MAC, alias, addresses
  ip link add "$1" address "$2" type bridge
  [ -z "$3" ] || ip link set "$1" alias "$3"
  ip link set "$1" up
  name=$1; shift 3
  for address; do
    case $address in *:*) ip addr add "$address" dev "$name" nodad;; *) ip addr add "$address" brd + dev "$name";; esac
  done
}

make_pair() { # container, MAC, host's end, its MAC, owner, bridge, addresses
  ip link add "$3" address "$4" type veth peer name eth0 address "$2" netns "$1"
  ip link set "$3" alias "tsnet:$5"
  ip link set "$3" master "$6" up
  [ "$6" = cni9 ] || bridge link set dev "$3" hairpin on
  container=$1; shift 6
  ip -n "$container" link set eth0 up
  for address; do
    case $address in
    *:*) ip -n "$container" addr add "$address" dev eth0 nodad; ip -n "$container" route add default via fd10::1;;
    *) ip -n "$container" addr add "$address" brd + dev eth0;;
    esac
  done
}

make_shape() { # host's end, ifb, its MAC, alias
  ip link add "$2" address "$3" mtu 1500 type ifb
  [ -z "$4" ] || ip link set "$2" alias "$4"
  ip link set "$2" up
  tc qdisc add dev "$1" root handle 1: tbf rate 8mbit burst 100000b latency 25ms
  tc qdisc add dev "$1" handle ffff: ingress
  tc filter add dev "$1" parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev "$2"
  tc qdisc add dev "$2" root handle 1: tbf rate 8mbit burst 100000b latency 25ms
}

make_bridge br-front 0e:74:6e:b4:91:dd tsnet 10.10.0.1/16 fd10::1/64
make_pair web f2:d0:09:d4:6c:28 vethb8ddb447 fe:47:1f:61:d9:a6 b8ddb4471f61d9a6 br-front 10.10.0.2/16 fd10::2/64
make_pair api 8a:47:86:17:86:74 veth8317c1e6 fe:e6:e0:e6:08:5e 8317c1e6e0e6085e br-front 10.10.0.3/16 fd10::3/64
for name in web api; do ip -n $name route add default via 10.10.0.1; done
make_shape vethb8ddb447 bwpb8ddb4471f61 42:72:e8:8f:da:36 ''
make_bridge cni9 6a:29:8a:f4:ad:e2 '' 10.9.0.1/16
make_pair plain e2:b1:0f:82:5d:a5 vetheb03dcac fe:ac:39:91:0f:f0 eb03dcac39910ff0 cni9 10.9.0.2/16
make_shape vetheb03dcac bwp906c66a568a5 72:83:c8:76:78:64 'tsnet bandwidth chain'
ip -n plain link set eth0 address 02:00:00:00:00:09 mtu 1400
ip netns exec plain sysctl -qw net.ipv4.conf.eth0.arp_filter=1
sysctl -qw net.ipv6.conf.lan0.accept_ra=2 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.cni9.route_localnet=1
