/**
 * Connections to published ports outlive a segment that belongs to no window: without a rule of ours the host
 * itself, which knows nothing of the connection, would answer it with a reset.
 */

import t from 'tap'
import type { Place } from 'tsnet/lab'
import { Chained, chainedSite } from '../support/nat-chain.ts'
import {
  ANSWERS,
  addresses,
  FAMILIES,
  type Family,
  intentOf,
  iptablesNft,
  NatSite,
  nftables,
  publish,
} from '../support/nat-site.ts'
import { outOfWindow } from '../support/out-of-window.ts'

t.setTimeout(600_000)

const PORT = 8080

/** How connections fare when a client, or the container, sends something that is out of the window. */
async function fates(site: NatSite, family: Family): Promise<Record<string, string>> {
  const to = addresses.lan[family]
  const [web, neighbour] = [site.get('web'), site.get('neighbour')]
  const ask = (from: Place, forger: Place) =>
    outOfWindow(from, to, PORT, forger, forger === web ? `sport ${ANSWERS}` : `dport ${PORT}`)
  return {
    client: await ask(site.client, site.client),
    neighbour: await ask(neighbour, neighbour),
    'container to a client': await ask(site.client, web),
    'container to a neighbour': await ask(neighbour, web),
  }
}

const LIVES = {
  client: 'lives',
  neighbour: 'lives',
  'container to a client': 'lives',
  'container to a neighbour': 'lives',
}

/** A client that has a route to the container hears it under its own address, and resets that. */
async function open(site: NatSite): Promise<NatSite> {
  site.client.route('10.1.0.0/24', addresses.lan[4])
  site.client.route('fd01::/64', addresses.lan[6])
  await site.bridgeNetfilter(false)
  return site
}

for (const variant of [iptablesNft, nftables]) {
  t.test(`${variant.name}: an out-of-window segment resets no connection to a published port`, async t => {
    const site = await open(await NatSite.open(variant))
    t.teardown(site.close)
    await site.install(intentOf({ guardDirect: false, ports: [publish(PORT)] }))
    for (const family of FAMILIES) t.strictSame(await fates(site, family), LIVES, `IPv${family}`)

    await t.test('and one to a port of the host is its own business', async t => {
      site.host.listen('tcp', 7070)
      const fate = () => outOfWindow(site.client, addresses.lan[4], 7070, site.client, 'dport 7070')
      t.equal(await fate(), 'lives', 'the host knows that connection')
    })
    await t.test('control: without the rules each is reset', async t => {
      if (variant.backend === 'nftables') await site.host.run('nft', 'flush chain inet tsnet invalid')
      else
        for (const family of ['', '6'])
          await site.host.run(`ip${family}tables`, '-t', 'mangle', '-F', 'TSNET-INVALID')
      for (const family of FAMILIES) {
        for (const [who, fate] of Object.entries(await fates(site, family)))
          t.not(fate, 'lives', `IPv${family} ${who}`)
      }
    })
  })

  t.test(`${variant.name}: nor does one to a port of portmap`, async t => {
    const site = await open(await chainedSite(t, variant))
    const plugin = new Chained(site, 'portmap')
    const ports = [{ hostPort: PORT, containerPort: ANSWERS }]
    await plugin.add('web', { ports })
    for (const family of FAMILIES) t.strictSame(await fates(site, family), LIVES, `IPv${family}`)
    await plugin.delete('web', { ports })
    await t.test('control: with the reference each is reset', async t => {
      await plugin.add('web', { ports }, variant.backend === 'nftables' ? 'ours' : 'theirs')
      // The reference of Debian 12 has no nftables.
      if (variant.backend === 'nftables') {
        for (const family of ['ip', 'ip6'])
          await site.host.run('nft', `flush chain ${family} cni_hostport hostports_invalid`)
      }
      for (const family of FAMILIES) {
        for (const [who, fate] of Object.entries(await fates(site, family)))
          t.not(fate, 'lives', `IPv${family} ${who}`)
      }
    })
  })
}
