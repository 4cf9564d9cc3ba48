/**
 * The real firewalld on the real system bus: zones for containers, its reload, and a zone that rejects what is led to
 * a container.
 *
 *     client namespace eth0 192.0.2.2 ── lan0 192.0.2.1 this machine br0 ── web 10.5.0.2
 *
 * Runs in the machine's own namespaces, where firewalld is.
 */

import { execFileSync, spawn } from 'node:child_process'
import { resolve } from 'node:path'
import t from 'tap'
import { waitFor } from 'tsnet/lab'

t.setTimeout(900_000)

const EXECUTABLE = resolve('dist/bin/tsnet')

const sh = (script: string, env: Record<string, string> = {}, input = ''): string =>
  execFileSync('sh', ['-ec', script], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    input,
    timeout: 120_000,
  })

const page = (place: string, url: string): string => sh(`${place} curl -g -s -m 5 ${url}`)

t.before(() => {
  sh(`systemctl start firewalld
    ip netns add client; ip netns add web
    ip link add name lan0 type veth peer name eth0 netns client
    ip link add name veth0 type veth peer name eth0 netns web
    ip link add name br0 type bridge; ip link set dev veth0 master br0
    ip address add 192.0.2.1/24 dev lan0; ip address add 10.5.0.1/24 dev br0
    for link in lan0 veth0 br0; do ip link set dev $link up; done
    ip -n client address add 192.0.2.2/24 dev eth0; ip -n client link set dev eth0 up
    ip -n web address add 10.5.0.2/24 dev eth0; ip -n web link set dev eth0 up; ip -n web link set dev lo up
    ip -n web route add default via 10.5.0.1
    mkdir -p /run/www; echo hi >/run/www/index.html
    systemd-run --quiet --unit=web ip netns exec web busybox httpd -f -p 80 -h /run/www`)
})

t.teardown(() =>
  sh(
    `systemctl stop web; ip netns del client; ip netns del web; ip link del dev br0; systemctl stop firewalld`,
  ),
)

t.test(
  'the drop-in firewall puts a container into a zone, and a reload of firewalld is seen by CHECK',
  async t => {
    const prevResult = {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'eth0', sandbox: '/run/netns/web' }],
      ips: [{ address: '10.5.0.2/24', interface: 0 }],
    }
    const config = JSON.stringify({ cniVersion: '1.0.0', name: 'front', type: 'firewall', prevResult })
    const call = (command: string) =>
      sh(
        resolve('dist/drop-in/firewall'),
        {
          CNI_COMMAND: command,
          CNI_CONTAINERID: 'web',
          CNI_NETNS: '/run/netns/web',
          CNI_IFNAME: 'eth0',
          CNI_PATH: '/opt/cni/bin',
          TSNET_DAEMON: 'off',
        },
        config,
      )
    const sources = () => sh('firewall-cmd --zone=trusted --list-sources').trim()
    call('ADD')
    t.equal(sources(), '10.5.0.2/32')
    call('CHECK')
    sh('firewall-cmd --reload')
    t.equal(sources(), '', 'a reload forgets what is not permanent')
    t.throws(() => call('CHECK'))
    call('ADD')
    t.equal(sources(), '10.5.0.2/32')
    call('DEL')
    t.equal(sources(), '')
    call('DEL')
  },
)

t.test(
  'where a zone rejects what is forwarded, a published port is served all the same, also after a reload',
  async t => {
    const daemon = spawn(EXECUTABLE, ['daemon'], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    daemon.stdout.setEncoding('utf8').on('data', text => {
      said += text
    })
    t.teardown(() => daemon.kill())
    await waitFor(() => said.includes('ready'), { what: 'the daemon', withinMs: 60_000 })
    sh('firewall-cmd --zone=public --change-interface=lan0; firewall-cmd --zone=public --add-port=8080/tcp')
    sh(`${EXECUTABLE} publish 8080:80 netns:web`)
    t.equal(page('ip netns exec client', 'http://192.0.2.1:8080/'), 'hi\n')
    t.equal(page('', 'http://127.0.0.1:8080/'), 'hi\n')
    sh('firewall-cmd --runtime-to-permanent; firewall-cmd --reload')
    await waitFor(() => page('ip netns exec client', 'http://192.0.2.1:8080/') === 'hi\n', {
      what: 'the page',
      withinMs: 60_000,
    })
    t.match(sh(`${EXECUTABLE} ports`), /8080/)
    sh(`${EXECUTABLE} unpublish 8080`)
  },
)
