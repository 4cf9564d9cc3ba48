/** systemd as PID 1: what `tsnet install` puts there, socket activation, reload, `--replace`, and a crash. */

import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import t from 'tap'
import { waitFor } from 'tsnet/lab'

t.setTimeout(900_000)

const EXECUTABLE = resolve('dist/bin/tsnet')

const sh = (script: string): string =>
  execFileSync('sh', ['-ec', script], {
    encoding: 'utf8',
    timeout: 120_000,
    stdio: ['ignore', 'pipe', 'inherit'],
  })

const mainPid = () => Number(sh('systemctl show --property=MainPID --value tsnetd.service'))
const state = (unit: string) => sh(`systemctl is-active ${unit} || true`).trim()
const page = () => sh('curl -s -m 5 http://127.0.0.1:8080/')

/** With everything that takes a capability or a file of the kernel's. */
const listOf = (ipMasqBackend: string) => ({
  cniVersion: '1.1.0',
  name: 'front',
  type: 'tsnet',
  bridge: 'tsnet9',
  isGateway: true,
  ipMasq: true,
  ipMasqBackend,
  macspoofchk: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }]] },
  runtimeConfig: {
    portMappings: [{ hostPort: 8090, containerPort: 80, protocol: 'tcp' }],
    bandwidth: {
      ingressRate: 8_000_000,
      ingressBurst: 8_000_000,
      egressRate: 8_000_000,
      egressBurst: 8_000_000,
    },
  },
})

t.before(() => {
  sh(`ip netns add web
    ip link add name br0 type bridge; ip link add name veth0 type veth peer name eth0 netns web
    ip link set dev veth0 master br0; ip address add 10.5.0.1/24 dev br0
    for link in veth0 br0; do ip link set dev $link up; done
    ip -n web address add 10.5.0.2/24 dev eth0; ip -n web link set dev eth0 up; ip -n web link set dev lo up
    ip -n web route add default via 10.5.0.1
    mkdir -p /run/www; echo hi >/run/www/index.html
    systemd-run --quiet --unit=web ip netns exec web busybox httpd -f -p 80 -h /run/www`)
})

t.teardown(() => sh(`systemctl stop web || true; ip netns del web; ip link del dev br0`))

t.test(
  'install starts the socket, the first connection the service, and uninstall leaves neither',
  async t => {
    sh(`${EXECUTABLE} install`)
    t.equal(state('tsnetd.socket'), 'active')
    t.equal(state('tsnetd.service'), 'inactive')
    sh(`${EXECUTABLE} publish 8080:80 netns:web`)
    t.equal(state('tsnetd.service'), 'active')
    t.equal(page(), 'hi\n')

    t.test('its sandbox lets it do all of its work, and little else', async t => {
      sh(`${EXECUTABLE} publish --mode redirect 8081:80 netns:web`)
      const served: { hostPort: number; by: string[] }[] = JSON.parse(sh(`${EXECUTABLE} ports --json`))
      const redirected = served.filter(({ by }) => by.includes('redirect'))
      t.strictSame(
        redirected.map(({ hostPort }) => hostPort),
        [8081],
      )
      for (const backend of ['iptables', 'nftables']) {
        const netns = `/run/netns/ctr-${backend}`
        sh(`ip netns add ctr-${backend}`)
        const call = (command: string, prevResult?: unknown) =>
          sh(`CNI_COMMAND=${command} CNI_CONTAINERID=ctr CNI_IFNAME=eth0 CNI_NETNS=${netns} ${EXECUTABLE} <<'END'
${JSON.stringify({ ...listOf(backend), prevResult })}
END`)
        const result = JSON.parse(call('ADD'))
        t.match(result, { ips: [{ address: /^10\.77\.0\.\d+\/24$/ }] }, backend)
        t.equal(call('CHECK', result), '')
        t.equal(call('DEL', result), '')
        sh(`ip netns del ctr-${backend}`)
      }
      sh(`${EXECUTABLE} unpublish 8081`)
      const exposure = sh('systemd-analyze security --no-pager tsnetd.service | tail -1')
      const [, figure] = /: ([\d.]+) /.exec(exposure) ?? []
      t.ok(Number(figure) < 5.5, exposure)
    })

    const first = mainPid()
    sh('systemctl reload tsnetd.service')
    t.equal(mainPid(), first, 'a reload reads settings')

    t.test('--replace hands over to a successor, which then is the main process', async t => {
      sh(`systemd-run --quiet --unit=successor --property=Type=exec ${EXECUTABLE} daemon --replace`)
      await waitFor(() => mainPid() !== first && mainPid() > 0, {
        what: 'another main process',
        withinMs: 60_000,
      })
      t.equal(page(), 'hi\n')
      t.equal(state('tsnetd.service'), 'active')
    })

    t.test('one that is killed is started again, and serves what it served', async t => {
      sh('systemctl restart tsnetd.service')
      const before = mainPid()
      process.kill(before, 'SIGKILL')
      await waitFor(() => mainPid() > 0 && mainPid() !== before, { what: 'another one', withinMs: 60_000 })
      t.equal(await waitFor(page, { what: 'the page', withinMs: 60_000 }), 'hi\n')
    })

    t.test('uninstall', async t => {
      sh(`${EXECUTABLE} unpublish --all; ${EXECUTABLE} uninstall`)
      t.equal(state('tsnetd.service'), 'inactive')
      t.equal(state('tsnetd.socket'), 'inactive')
      t.match(sh('systemctl list-unit-files "tsnetd*" --no-legend || true'), /^\s*$/)
    })
  },
)
