/**
 * What must not get through the rules of src/nat. Each attack also runs against a control, the same host
 * without the rule that stops it: an attack that fails there proves nothing.
 */

import t, { type Test } from 'tap'
import type { Place } from 'tsnet/lab'
import { waitFor } from 'tsnet/lab'
import {
  ANSWERS,
  addresses,
  FAMILIES,
  intentOf,
  NatSite,
  neighbourIntent,
  publish,
  publishBoth,
  strangerIntent,
  type Variant,
} from './nat-site.ts'
import { answering, answers, arrives } from './reach.ts'

const PORT = 8080

/** Empties one of our chains of guards, as if it had never been there. */
async function without(site: NatSite, chain: { nft: string; ipt: string }): Promise<void> {
  if (site.variant.backend === 'nftables') {
    await site.host.run('nft', 'flush', 'chain', 'inet', 'tsnet', chain.nft)
    return
  }
  const kind = site.variant.name === 'iptables-legacy' ? 'legacy' : 'nft'
  for (const family of ['', '6']) {
    await site.host.run(`ip${family}tables-${kind}`, '-t', 'raw', '-F', chain.ipt, { mayFail: true })
  }
}

const GUARDS = { nft: 'raw_prerouting', ipt: 'TSNET-RAW' }

/** Routes 127.0.0.1 over the wire. */
async function routeLoopback(place: Place, via: string): Promise<void> {
  await place.run('ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo')
  await place.run('ip', 'route', 'add', '127.0.0.1/32', 'via', via)
}

async function site(t: Test, variant: Variant): Promise<NatSite> {
  const opened = await NatSite.open(variant)
  t.teardown(opened.close)
  return opened
}

/** Runs every attack against one backend. */
export function attack(variant: Variant): void {
  t.setTimeout(600_000)

  t.test(`${variant.name}: a port published on 127.0.0.1 is for the host alone (C1, C2)`, async t => {
    const s = await site(t, variant)
    const web = s.get('web')
    const server = web.listen('udp', 91)
    const own = s.host.listen('udp', 9999, '127.0.0.1')
    const loopback = { hostIp: '127.0.0.1' }
    const intent = intentOf({
      ports: [publish(PORT, loopback), publish(PORT, { ...loopback, protocol: 'udp', containerPort: 91 })],
    })
    await s.install(intent)
    t.equal(await answering(s.host, 'tcp', '127.0.0.1', PORT), 'nobody', 'not before loopback is opened')
    await s.call('openLoopback', intent)
    t.match(await s.host.ask('tcp', '127.0.0.1', PORT), { place: 'web', peer: addresses.br1[4] })
    t.equal(await answering(s.client, 'tcp', addresses.lan[4], PORT), 'nobody', 'not by another address')
    t.strictSame(await s.call('verifyRules', variant.backend, intent), [])

    await routeLoopback(s.client, addresses.lan[4])
    await routeLoopback(s.get('neighbour'), addresses.br1[4])
    const attacks = async (text: string) => ({
      fromLan: await arrives(s.client, '127.0.0.1', PORT, server, `lan ${text}`),
      fromContainer: await arrives(s.get('neighbour'), '127.0.0.1', 9999, own, `container ${text}`),
    })
    t.strictSame(await attacks('guarded'), { fromLan: false, fromContainer: false })

    await t.test('withdrawn, the setting is as before', async t => {
      const other = neighbourIntent({ ports: [publish(9090, loopback)] })
      await s.install(other)
      await s.withdraw(intent.owner, { intent, last: false })
      const setting = () => s.host.run('cat', '/proc/sys/net/ipv4/conf/br1/route_localnet')
      t.match(await setting(), { stdout: '1\n' }, 'another port needs it')
      await s.withdraw(other.owner, { last: true })
      t.match(await setting(), { stdout: '0\n' })
    })

    await t.test('control: without the guard both get through', async t => {
      await s.install(intent)
      await s.call('openLoopback', intent)
      await without(s, GUARDS)
      t.strictSame(await attacks('bare'), { fromLan: true, fromContainer: true })
    })
  })

  t.test(`${variant.name}: nobody outside reaches a container by its own address (C3)`, async t => {
    const s = await site(t, variant)
    for (const family of FAMILIES) {
      const network = { 4: '10.1.0.0/24', 6: 'fd01::/64' }[family]
      s.client.route(network, addresses.lan[family])
    }
    await s.install(intentOf({ ports: publishBoth(PORT) }))
    const attack = async () => {
      const tries = FAMILIES.flatMap(family => {
        const to = addresses.web[family]
        const asks = (['tcp', 'udp'] as const).flatMap(transport =>
          [s.client, s.get('stranger')].map(async from => {
            const place = await answering(from, transport, to, ANSWERS)
            return place === 'web' && `${from.name} ${transport}${family}`
          }),
        )
        const ping = s.client.run('ping', '-c1', '-W1', to, { mayFail: true })
        return [...asks, ping.then(({ code }) => code === 0 && `client icmp${family}`)]
      })
      return (await Promise.all(tries)).filter(Boolean)
    }
    t.strictSame(await attack(), [])
    t.equal(await answers(s.client, 'tcp', addresses.lan[4], PORT), 'web', 'the published port is open')
    await t.test('control: without the guard all get through', async t => {
      await without(s, GUARDS)
      t.equal((await attack()).length, 10)
    })
  })

  t.test(`${variant.name}: forwarding is turned on for containers only (C4)`, async t => {
    const s = await site(t, variant)
    await s.forwarding('0')
    await s.primeTables()
    for (const family of FAMILIES) {
      s.client.route('default', addresses.lan[family])
      s.outside.route('default', addresses.wan[family])
    }
    const through = () =>
      Promise.all([
        answering(s.client, 'tcp', addresses.outside[4], ANSWERS),
        answering(s.client, 'tcp', addresses.outside[6], ANSWERS),
        answering(s.outside, 'udp', addresses.client[4], ANSWERS),
      ])
    const settings = async () => {
      const names = [
        'ipv4/ip_forward',
        'ipv6/conf/all/forwarding',
        'ipv6/conf/wan/accept_ra',
        'ipv6/conf/lan/accept_ra',
      ]
      return Promise.all(
        names.map(async name => (await s.host.run('cat', `/proc/sys/net/${name}`)).stdout.trim()),
      )
    }
    await s.sysctl('net/ipv6/conf/wan/accept_ra', '1')
    await s.sysctl('net/ipv6/conf/lan/accept_ra', '0')
    const before = await s.rules()

    await s.install(intentOf({ ports: publishBoth(PORT) }))
    const change = await s.call('openForwarding', variant.backend, [4, 6])
    t.strictSame(await settings(), ['1', '1', '2', '0'], 'on, and routers are still listened to')
    t.strictSame(await through(), ['nobody', 'nobody', 'nobody'])
    t.equal(await answers(s.client, 'tcp', addresses.lan[4], PORT), 'web')
    t.equal(await answers(s.client, 'udp', addresses.lan[6], PORT), 'web')
    t.equal(await answers(s.get('web'), 'tcp', addresses.outside[6], ANSWERS), 'outside')
    t.match(
      await s.call('openForwarding', variant.backend, [4, 6]),
      { settings: [], guards: [] },
      'nothing is left to do',
    )

    await t.test('taken back with the last attachment, in whatever order', async t => {
      await s.withdraw(intentOf().owner, { last: true })
      t.strictSame(await through(), ['nobody', 'nobody', 'nobody'])
      await s.call('closeForwarding', change)
      await s.call('closeForwarding', change)
      t.strictSame(await settings(), ['0', '0', '1', '0'])
      t.equal(await s.rules(), before)
    })
    await t.test('stays as it is when others forward by then', async t => {
      const again = await s.call('openForwarding', variant.backend, [4, 6])
      const kind = variant.name === 'iptables-legacy' ? 'legacy' : 'nft'
      await s.host.run(`iptables-${kind}`, '-A', 'FORWARD', '-s', '203.0.113.1', '-j', 'ACCEPT')
      await s.call('closeForwarding', again)
      t.strictSame(await settings(), ['1', '0', '1', '0'], 'IPv6 has nobody else')
      await s.host.run(`iptables-${kind}`, '-D', 'FORWARD', '-s', '203.0.113.1', '-j', 'ACCEPT')
      await s.call('closeForwarding', again)
      t.strictSame(await settings(), ['0', '0', '1', '0'])
      t.equal(await s.rules(), before)
    })
    await t.test('control: turned on by hand, the host is an open router', async t => {
      await s.forwarding('1')
      t.strictSame(await through(), ['outside', 'outside', 'client'])
      t.match(
        await s.call('openForwarding', variant.backend, [4, 6]),
        { settings: [], guards: [] },
        'which is left so',
      )
    })
  })

  t.test(`${variant.name}: only what is sent to this host is led to a container (C8, C9)`, async t => {
    const s = await site(t, variant)
    const elsewhere = '203.0.113.9'
    await s.outside.run('ip', 'addr', 'add', `${elsewhere}/32`, 'dev', 'lo')
    s.outside.listen('tcp', PORT)
    s.host.route('default', addresses.outside[4])
    s.client.route('default', addresses.lan[4])
    s.outside.route('default', addresses.wan[4])
    await s.install(intentOf({ ports: [publish(PORT)] }))
    await s.install(neighbourIntent({ ports: [publish(PORT, { hostIp: elsewhere })] }))
    await s.install(strangerIntent())
    const attack = () =>
      Promise.all([
        answering(s.client, 'tcp', addresses.outside[4], PORT),
        answering(s.client, 'tcp', elsewhere, PORT),
        answering(s.get('stranger'), 'tcp', elsewhere, PORT),
        answering(s.host, 'tcp', elsewhere, PORT),
      ])
    t.strictSame(await attack(), ['outside', 'outside', 'outside', 'outside'])
    await t.test('control: where the rule does not ask whose address it is, all is diverted', async t => {
      await s.host.run('nft', '-f', '-', {
        stdin: `add table ip plain
          add chain ip plain pre { type nat hook prerouting priority -110; }
          add chain ip plain out { type nat hook output priority -110; }
          add rule ip plain pre tcp dport ${PORT} dnat to ${addresses.web[4]}:${ANSWERS}
          add rule ip plain out tcp dport ${PORT} dnat to ${addresses.web[4]}:${ANSWERS}`,
      })
      t.strictSame(await attack(), ['web', 'web', 'web', 'web'])
    })
  })

  t.test(`${variant.name}: an administrator's earlier rule wins (C10)`, async t => {
    const s = await site(t, variant)
    if (variant.backend === 'nftables') {
      await s.host.run('nft', '-f', '-', {
        stdin: `add table inet admin
          add chain inet admin forward { type filter hook forward priority -10; }
          add rule inet admin forward tcp dport ${ANSWERS} ct original proto-dst ${PORT} drop`,
      })
    } else {
      const kind = variant.name === 'iptables-legacy' ? 'legacy' : 'nft'
      await s.host.run(
        `iptables-${kind}`,
        '-A',
        'FORWARD',
        '-p',
        'tcp',
        '-m',
        'conntrack',
        '--ctorigdstport',
        `${PORT}`,
        '-j',
        'DROP',
      )
    }
    await s.install(intentOf({ ports: [publish(PORT), publish(PORT + 1)] }))
    t.equal(await answering(s.client, 'tcp', addresses.lan[4], PORT), 'nobody')
    t.equal(await answers(s.client, 'tcp', addresses.lan[4], PORT + 1), 'web')
  })

  t.test(`${variant.name}: attachments of one container share nothing (C16)`, async t => {
    const s = await site(t, variant)
    const first = intentOf({ ports: [publish(PORT)] })
    await s.host.run('ip', 'addr', 'add', '10.3.0.1/24', 'dev', 'br1')
    s.get('web').address('eth0', '10.3.0.2/24')
    const second = {
      ...intentOf({ owner: '00000000000000c3', ports: [publish(PORT + 1)] }),
      addresses: ['10.3.0.2/24'],
    }
    await s.call('install', variant.backend, first)
    await s.call('install', variant.backend, second)
    t.strictSame(((await s.call('owners', variant.backend)) as string[]).sort(), [first.owner, second.owner])
    await s.withdraw(first.owner, { last: false })
    t.equal(await answering(s.client, 'tcp', addresses.lan[4], PORT), 'nobody')
    t.equal(await answers(s.client, 'tcp', addresses.lan[4], PORT + 1), 'web')
    t.strictSame(await s.call('verifyRules', variant.backend, second), [])
  })

  t.test(
    `${variant.name}: who gets the address next gets nothing of its former connections (C17)`,
    async t => {
      const s = await site(t, variant)
      const intent = intentOf({ ports: publishBoth(PORT) })
      const speak = () =>
        Promise.all(FAMILIES.map(family => answering(s.client, 'udp', addresses.lan[family], PORT, 4444)))
      // Connections are remembered only while somebody has rules that ask for it.
      await s.install(strangerIntent())
      await s.install(intent)
      t.strictSame(await speak(), ['web', 'web'])
      await s.withdraw(intent.owner, { last: false })
      t.strictSame(await speak(), ['web', 'web'], 'control: without a flush the connection goes on')
      await s.call('flushConntrack', [addresses.web[4], addresses.web[6]], [])
      t.strictSame(await speak(), ['nobody', 'nobody'])

      await t.test('a client that asked too early is not kept away from a port published since', async t => {
        t.strictSame(await speak(), ['nobody', 'nobody'])
        await s.install(intent)
        t.strictSame(await speak(), ['nobody', 'nobody'], 'control: without a flush it is')
        await s.call('flushConntrack', [addresses.web[4], addresses.web[6]], intent.ports)
        await waitFor(async () => (await speak()).join() === 'web,web', { what: 'answers' })
      })
    },
  )
}
