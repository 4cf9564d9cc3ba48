/** What a doctor finds on a host of a network of many: nothing where all is well, and each planted fault by its name. */

import { writeFileSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { HostSite, type Machine } from '../support/host-site.ts'

t.setTimeout(600_000) // on a busy machine

const OURS = /^(hosts|host-prefix|carrier|egress): /

t.test('networks of many hosts: a healthy host has nothing, and a sick one what was planted', async t => {
  const site = await HostSite.open(t, 'nftables', ['one', 'two'], { ipMasq: true })
  const [one] = site.machines as [Machine, Machine]
  const rows = await site.settled()
  const ids = rows.map(([self]) => self?.id)
  const found = async (): Promise<string[]> => (await one.tsnet.faults()).filter(each => OURS.test(each))
  const becomes = (what: string, wanted: RegExp | undefined) =>
    waitFor(
      async () => {
        const now = await found()
        const isSo = wanted === undefined ? now.length === 0 : now.some(each => wanted.test(each))
        if (!isSo) throw new Error(now.join('\n') || 'nothing')
        return true
      },
      { what, withinMs: 60_000 },
    )
  const list = (egress?: object) =>
    writeFileSync(
      one.host.path('/etc/cni/net.d/front.conflist'),
      site.list({ ...site.config, ...(egress && { egress }) }),
    )
  await becomes('nothing', undefined)

  const drop = ['INPUT', '-p', 'udp', '--dport', '4789', '-j', 'DROP']
  await one.host.run('iptables', '-I', ...drop)
  t.match(await found(), [/^carrier: network front: .*iptables table filter, chain INPUT/])
  await one.host.run('iptables', '-D', ...drop)
  t.strictSame(await found(), [])

  // What leads to the other host, part by part, while nobody puts it back.
  const file = '/var/lib/tsnet/hosts/members/front.json'
  await waitFor(async () => (await one.host.run('sh', '-c', `cat ${file} || true`)).stdout.includes('mac'), {
    what: 'the other host is written down',
    withinMs: 60_000,
  })
  process.kill(Number(one.daemon.pid), 'SIGKILL')
  await one.daemon.finished
  const away = async (what: string) =>
    (await found()).filter(each => !each.startsWith('hosts: ')).join('\n') || what
  t.equal(await away('nothing'), 'nothing', 'control: all of it is there')
  const device = (await one.host.run('sh', '-c', 'ip -br link show type vxlan')).stdout.split(' ')[0] ?? ''
  const [, entry = ''] =
    /^(\S+) dst/m.exec((await one.host.run('bridge', 'fdb', 'show', 'dev', device)).stdout) ?? []
  const prefix = rows[1]?.[0]?.prefixes[0] ?? ''
  const gateway = prefix.replace('/24', '')
  const host = `towards host \\S+ \\(${site.machines[1]?.addresses[0]}\\)`
  const PARTS: [damage: string, wanted: RegExp, undo: string][] = [
    [
      `bridge fdb del ${entry} dev ${device} dst ${site.machines[1]?.addresses[0]} self`,
      new RegExp(`^carrier: network front: ${host}: .bridge fdb replace ${entry}`),
      `bridge fdb add ${entry} dev ${device} dst ${site.machines[1]?.addresses[0]} self static`,
    ],
    [
      `ip neighbour del ${gateway} dev ${device}`,
      new RegExp(`^carrier: network front: ${host}: .ip neighbour replace ${gateway}`),
      `ip neighbour add ${gateway} lladdr ${entry} dev ${device} nud permanent`,
    ],
    [
      `ip link set ${device} mtu 1400`,
      /takes packets of 1400 bytes, and 1450 fit through eth0$/,
      `ip link set ${device} mtu 1450`,
    ],
    [
      `ip route del ${prefix}`,
      new RegExp(`^carrier: network front: ${host}: .ip -4 route replace ${prefix}`),
      '',
    ],
    [`ip link del ${device}`, /^carrier: network front: there is no interface tsx/, ''],
  ]
  for (const [damage, wanted, undo] of PARTS) {
    await one.host.run('sh', '-c', damage)
    t.match(await away('nothing'), wanted, damage)
    if (undo !== '') await one.host.run('sh', '-c', undo)
  }
  one.daemon = await one.tsnet.daemon()
  await becomes('the daemon puts all of it back', undefined)

  list({ host: 'ffffffffffffffff' })
  await becomes(
    'no such host',
    /^egress: network front: it is to leave by ffffffffffffffff, and no such host is there/,
  )
  list({ host: ids[1] })
  await becomes('it leaves by the other', undefined)
  const inspected = JSON.parse((await one.tsnet.run('network', 'inspect', 'front')).stdout)
  t.match(inspected, [
    {
      name: 'front',
      hosts: {
        engine: 'etcd',
        carrier: 'vxlan',
        identifier: Number,
        egress: { hosts: [ids[1]], otherwise: 'none' },
        prefixes: rows[0]?.[0]?.prefixes,
        states: { self: 1, up: 1 },
        members: [{ state: 'self' }, { state: 'up' }],
      },
    },
  ])
  list({ host: ids[0], address: '198.51.100.7' })
  await becomes('a missing address', /^egress: network front: it leaves by this host as 198\.51\.100\.7/)
  list()
  await becomes('nothing again', undefined)

  // The daemon may write it anew while the doctor looks elsewhere.
  const lost = async () => {
    await one.host.run('rm', '-f', '/var/lib/tsnet/hosts/networks/front.json')
    const [first, ...others] = await found()
    return (
      others.length === 0 &&
      /^host-prefix: network front: this host has no prefix of it yet/.test(first ?? '')
    )
  }
  await waitFor(lost, { what: 'the doctor to miss the prefix' })

  await site.etcd?.stop('SIGKILL')
  await becomes('etcd is away', /^hosts: network front: .*ECONNREFUSED/)
})
