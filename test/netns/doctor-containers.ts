/** As doctor.ts: faults of containers, of who listens, and of files. */

import t from 'tap'
import { hold, type Row, Ward } from '../support/doctor.ts'

t.setTimeout(600_000) // on a busy machine

const list = (name: string, ipam: object, type = 'tsnet', bridge = `br-${name}`) =>
  `echo '${JSON.stringify({ cniVersion: '1.1.0', name, plugins: [{ type, bridge, ipam }] })}' >/etc/cni/net.d/50-${name}.conflist`
const host = (subnet: string) => ({ type: 'host-local', subnet })

const CONTAINER: Row[] = [
  {
    name: 'a container without its default route',
    plant: 'nsenter --net=/run/netns/web ip route delete default',
    undo: 'nsenter --net=/run/netns/web ip route add default via 10.10.0.1',
    found: ['container'],
    what: /lacks route 0\.0\.0\.0\/0 via 10\.10\.0\.1/,
    cure: /in the container/,
  },
  {
    name: 'a container without its address',
    plant: 'nsenter --net=/run/netns/db ip -6 address del fd10::3/64 dev eth0',
    undo: 'nsenter --net=/run/netns/db ip -6 address add fd10::3/64 dev eth0 nodad',
    found: ['container'],
    what: /eth0 lacks address fd10::3/,
    cure: /in the container/,
    of: 'front',
  },
  {
    name: 'a guarded container with another MAC',
    plant: 'nsenter --net=/run/netns/db ip link set eth0 address 02:00:00:00:00:77',
    undo: 'nsenter --net=/run/netns/db ip link set eth0 address $(cat /run/db.mac)',
    found: ['container'],
    what: /has MAC 02:00:00:00:00:77/,
    cure: /in the container/,
    of: 'netns:db',
  },
  {
    name: 'a container that tries to reach whom its list does not have',
    plant:
      'tsnet network create boxed --egress 192.0.2.7:443 && ip netns add boxed && tsnet attach boxed netns:boxed && until tsnet egress netns:boxed | grep -q denied; do nsenter --net=/run/netns/boxed socat -u OPEN:/dev/null TCP:192.168.50.2:443,connect-timeout=1 || true; done',
    undo: 'tsnet detach boxed netns:boxed; ip netns delete boxed; tsnet network rm boxed',
    found: ['reach'],
    what: /denied by egress: 192\.168\.50\.2 443\/tcp/,
    cure: /"192\.168\.50\.2:443\/tcp" in egress\.allow/,
    of: 'netns:boxed',
  },
  {
    name: 'an application that does not run',
    plant: 'tsnet publish 8091:81 netns:web',
    undo: 'tsnet unpublish 8091',
    found: ['listening'],
    what: /nothing listens on 81\/tcp of netns:web; it listens on/,
    cure: /start the application/,
  },
  {
    name: 'an application that listens on 127.0.0.1 alone',
    plant: 'tsnet publish 8092:82 netns:web',
    undo: 'tsnet unpublish 8092',
    found: ['listening'],
    what: /listens on 82 of 127\.0\.0\.1 or ::1 alone/,
    cure: /0\.0\.0\.0 or ::, or publish the port with --via netns/,
  },
  {
    name: 'a port that another process has, which nobody publishes',
    plant:
      'socat TCP-LISTEN:8094 - >/dev/null 2>&1 </dev/null & echo $! >/run/socat.pid; until grep -q :1F9E /proc/net/tcp; do sleep 0.05; done',
    undo: 'kill $(cat /run/socat.pid)',
    found: ['holders'],
    what: /nobody publishes it/,
    cure: /tsnet publish 8094:PORT CONTAINER/,
    of: '8094',
  },
  {
    name: 'a process beside the rules',
    plant:
      'tsnet publish --mode nat 8095:80 netns:web; socat TCP-LISTEN:8095 - >/dev/null 2>&1 </dev/null & echo $! >/run/socat.pid; until grep -q :1F9F /proc/net/tcp; do sleep 0.05; done',
    undo: 'kill $(cat /run/socat.pid); tsnet unpublish 8095',
    found: ['holders'],
    what: /socat \(pid \d+\) listens on it/,
    cure: /end that process/,
  },
  {
    name: 'a daemon that stands still',
    plant: 'kill -STOP $(cat /run/daemon.pid)',
    undo: 'kill -CONT $(cat /run/daemon.pid)',
    found: ['daemon'],
    what: /is stopped and answers nobody/,
    cure: /continue or end it/,
  },
]

const FILES: Row[] = [
  {
    name: 'a network list that is no JSON',
    plant: 'echo { >/etc/cni/net.d/60-x.conflist',
    undo: 'rm /etc/cni/net.d/60-x.conflist',
    found: ['lists'],
    what: /JSON/i,
    cure: /mend or remove \/etc\/cni\/net\.d\/60-x\.conflist/,
  },
  {
    name: 'a network list with a plugin that is not there',
    plant: list('x', host('10.77.0.0/24'), 'cilium-cni'),
    undo: 'rm /etc/cni/net.d/50-x.conflist',
    found: ['lists'],
    what: /no plugin "cilium-cni"/,
    cure: /tsnet check/,
  },
  {
    name: 'two networks of one subnet',
    plant: list('x', host('10.10.9.0/24')),
    undo: 'rm /etc/cni/net.d/50-x.conflist',
    found: ['lists'],
    what: /10\.10\.9\.0\/24 overlaps with network front/,
    cure: /tsnet check/,
  },
  {
    name: 'two lists of one name',
    plant: list('front', host('10.10.0.0/16'), 'tsnet', 'br-front'),
    undo: 'rm /etc/cni/net.d/50-front.conflist',
    found: ['lists'],
    what: /is called front too/,
    cure: /tsnet check/,
  },
  {
    name: "an address of a network's subnet on another interface",
    plant: 'ip address add 10.10.200.1/32 dev lan0',
    undo: 'ip address delete 10.10.200.1/32 dev lan0',
    found: ['lists'],
    what: /overlaps with address 10\.10\.200\.1\/32 of lan0/,
    cure: /tsnet check/,
  },
  {
    name: 'a network without an address left',
    plant: `${list('x', host('10.78.0.0/30'))}; mkdir -p /var/lib/cni/networks/x; echo gone >/var/lib/cni/networks/x/10.78.0.2`,
    undo: 'rm -r /etc/cni/net.d/50-x.conflist /var/lib/cni/networks/x',
    found: ['addresses'],
    what: /no address is left in 10\.78\.0\.0\/30/,
    cure: /larger subnet/,
  },
  {
    name: 'a dockerd without iptables',
    plant: `echo '{"iptables": false}' >/etc/docker/daemon.json`,
    undo: 'rm /etc/docker/daemon.json',
    found: ['docker'],
    what: /"iptables" is false/,
    cure: /restart dockerd/,
  },
  {
    name: 'a dockerd without a userland proxy',
    plant: `echo '{"userland-proxy": false}' >/etc/docker/daemon.json`,
    undo: 'rm /etc/docker/daemon.json',
    found: ['docker'],
    what: /"userland-proxy" is false/,
    cure: /restart dockerd/,
  },
  {
    name: 'a dockerd whose proxy is not there',
    plant: `echo '{"userland-proxy-path": "/opt/none"}' >/etc/docker/daemon.json`,
    undo: 'rm /etc/docker/daemon.json',
    found: ['docker'],
    what: /\/opt\/none, where there is nothing/,
    cure: /tsnet install --docker/,
  },
  {
    name: 'two engines of which each has its own manager of control groups',
    plant: `echo '{"exec-opts": ["native.cgroupdriver=cgroupfs"]}' >/etc/docker/daemon.json; printf '[engine]\\ncgroup_manager = "systemd"\\n' >/etc/containers/containers.conf`,
    undo: 'rm /etc/docker/daemon.json /etc/containers/containers.conf',
    found: ['cgroup-drivers'],
    what: /managed by systemd, and \/etc\/docker\/daemon\.json by cgroupfs/,
    cure: /say the same in both files/,
  },
  {
    name: 'a podman that uses netavark',
    plant: `printf '[network]\\nnetwork_backend = "netavark"\\n' >/etc/containers/containers.conf`,
    undo: 'rm /etc/containers/containers.conf',
    found: ['podman'],
    what: /network_backend is "netavark"/,
    cure: /tsnet attach/,
  },
  {
    name: 'a podman that does not find the driver of its networks',
    plant: `mkdir -p /etc/containers/networks; echo '{"name": "shared", "driver": "tsnet", "options": {"tsnet.network": "ours"}}' >/etc/containers/networks/shared.json`,
    undo: 'rm -r /etc/containers/networks',
    found: ['podman'],
    what: /the driver tsnet is in none of podman's netavark_plugin_dirs/,
    cure: /tsnet install/,
  },
  {
    name: 'a network of podman that joins one which is gone',
    plant: `mkdir -p /etc/containers/networks /run/driver; touch /run/driver/tsnet; printf '[network]\\nnetavark_plugin_dirs = ["/run/driver"]\\n' >/etc/containers/containers.conf; echo '{"name": "shared", "driver": "tsnet", "options": {"tsnet.network": "gone"}}' >/etc/containers/networks/shared.json`,
    undo: 'rm -r /etc/containers/networks /run/driver /etc/containers/containers.conf',
    found: ['podman'],
    what: /it joins network gone, which is not there/,
    cure: /podman network rm shared/,
  },
  {
    name: 'a podman that looks for plugins elsewhere',
    plant: `printf '[network]\\ncni_plugin_dirs = ["/opt/none"]\\n' >/etc/containers/containers.conf`,
    undo: 'rm /etc/containers/containers.conf',
    found: ['podman'],
    what: /plugin tsnet is in none of podman's cni_plugin_dirs/,
    cure: /dist\/bin/,
  },
  {
    name: 'a containerd that looks for plugins elsewhere',
    plant: `printf 'version = 2\\n[plugins."io.containerd.grpc.v1.cri".cni]\\nbin_dir = "/opt/none"\\n' >/etc/containerd/config.toml; ln -s "$(command -v sleep)" /run/containerd; /run/containerd 600 >/dev/null 2>&1 </dev/null & echo $! >/run/containerd.pid; until grep -qx containerd /proc/$(cat /run/containerd.pid)/comm; do :; done`,
    undo: 'kill $(cat /run/containerd.pid); rm /etc/containerd/config.toml /run/containerd /run/containerd.pid',
    found: ['containerd'],
    what: /plugin tsnet is in none of its folders/,
    cure: /bin_dirs/,
  },
]

t.test('planted faults of containers and of files are found, each with its cure', async t => {
  const ward = await Ward.open(t)
  // Not as a child of the test: nsenter stands still with whom it has started.
  await ward.shell(
    'echo {} >/run/settings.json; setsid "$EXE" daemon --config /run/settings.json >/run/daemon.out 2>&1 </dev/null & echo $! >/run/daemon.pid; until grep -q ready /run/daemon.out; do sleep 0.1; done',
  )
  await ward.shell(
    "nsenter --net=/run/netns/db ip -o link show eth0 | sed 's/.*ether \\([0-9a-f:]*\\).*/\\1/' >/run/db.mac",
  )
  for (const row of [...CONTAINER, ...FILES]) await hold(t, ward, row)
  t.strictSame(await ward.faults(), [], 'a host on which all is well again')
  await hold(t, ward, {
    name: 'a daemon that could not read its settings again',
    plant:
      'echo { >/run/settings.json; kill -HUP $(cat /run/daemon.pid); until grep -q settings.json /run/daemon.out; do sleep 0.05; done',
    undo: 'rm /run/settings.json',
    found: ['log'],
    what: /it said: .*\/run\/settings\.json/,
    cure: /read its log/,
  })
})
