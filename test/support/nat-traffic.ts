/**
 * Who reaches whom through the rules of src/nat, and as whom: every backend, both families, TCP and UDP,
 * whatever the policy of FORWARD is and whether bridged packets pass the rules or not.
 */

import t, { type Test } from 'tap'
import type { Place } from 'tsnet/lab'
import {
  ANSWERS,
  addresses,
  FAMILIES,
  type Family,
  intentOf,
  NatSite,
  neighbourIntent,
  publishBoth,
  strangerIntent,
  type Variant,
} from './nat-site.ts'

const TRANSPORTS = ['tcp', 'udp'] as const
const PUBLISHED = 8080

type Name = keyof typeof addresses

/** Both families and transports. */
const ways = FAMILIES.flatMap(family => TRANSPORTS.map(transport => ({ family, transport })))

/** Asks in all ways at once: who answers, and whom it sees. */
async function reaches(t: Test, from: Place, to: Name, port: number, place: string, as: Name): Promise<void> {
  const answers = await Promise.all(
    ways.map(({ family, transport }) =>
      from.ask(transport, addresses[to][family], port).catch((thrown: Error) => thrown),
    ),
  )
  for (const [i, { family, transport }] of ways.entries()) {
    const what = `${from.name} → ${to} ${addresses[to][family]} ${transport} ${port}`
    t.match(answers[i], { place, peer: addresses[as][family] }, what)
  }
}

async function isKeptFrom(t: Test, from: Place, to: Name, port: number): Promise<void> {
  const answers = await Promise.allSettled(
    ways.map(({ family, transport }) => from.ask(transport, addresses[to][family], port, { withinMs: 200 })),
  )
  for (const [i, { family, transport }] of ways.entries()) {
    const what = `${from.name} ↛ ${to} ${addresses[to][family]} ${transport} ${port}`
    t.match(answers[i], { status: 'rejected', reason: { name: 'NoAnswer' } }, what)
  }
}

async function matrix(t: Test, site: NatSite): Promise<void> {
  const { host, client } = site
  const [web, neighbour, stranger] = [site.get('web'), site.get('neighbour'), site.get('stranger')]
  // Others reach the published port by any address of the host, and remote ones keep their own.
  await reaches(t, client, 'lan', PUBLISHED, 'web', 'client')
  await reaches(t, site.outside, 'wan', PUBLISHED, 'web', 'outside')
  // The host by any of its own addresses.
  await reaches(t, host, 'lan', PUBLISHED, 'web', 'lan')
  await reaches(t, host, 'wan', PUBLISHED, 'web', 'wan')
  await reaches(t, host, 'br1', PUBLISHED, 'web', 'br1')
  // The container itself and its neighbour would be answered past us.
  await reaches(t, web, 'lan', PUBLISHED, 'web', 'br1')
  await reaches(t, web, 'br1', PUBLISHED, 'web', 'br1')
  await reaches(t, neighbour, 'lan', PUBLISHED, 'web', 'br1')
  // A container of another network leaves it under the host's address.
  await reaches(t, stranger, 'lan', PUBLISHED, 'web', 'br1')
  // Out, under the host's address.
  await reaches(t, web, 'client', ANSWERS, 'client', 'lan')
  await reaches(t, stranger, 'outside', ANSWERS, 'outside', 'wan')
  // Neighbours and the host speak without any of this.
  await reaches(t, web, 'neighbour', ANSWERS, 'neighbour', 'web')
  await reaches(t, host, 'web', ANSWERS, 'web', 'br1')
  await isKeptFrom(t, stranger, 'web', ANSWERS)
}

/** Runs the whole matrix against one backend. */
export function traffic(variant: Variant): void {
  t.setTimeout(600_000)

  for (const policy of ['ACCEPT', 'DROP'] as const) {
    t.test(`${variant.name}, FORWARD policy ${policy}: who reaches whom`, async t => {
      const site = await NatSite.open(variant)
      t.teardown(site.close)
      await site.policy(policy)
      // A neighbour that was there before: its rules stand before those of the port.
      await site.install(neighbourIntent())
      await site.install(intentOf({ ports: publishBoth(PUBLISHED) }))
      await site.install(strangerIntent())
      for (const on of [false, true]) {
        await site.bridgeNetfilter(on)
        // Where a bridge hands over what was addressed to it, the sender's own port has to take part.
        await site.host.run('bridge', 'link', 'set', 'dev', 'to-web', 'hairpin', on ? 'on' : 'off')
        await t.test(`bridged packets ${on ? 'pass' : 'do not pass'} the rules`, t => matrix(t, site))
      }
      await t.test('withdrawn, the port is closed, and the others go on', async t => {
        await site.withdraw(intentOf().owner, { last: false })
        await isKeptFrom(t, site.client, 'lan', PUBLISHED)
        await isKeptFrom(t, site.host, 'lan', PUBLISHED)
        await reaches(t, site.get('neighbour'), 'client', ANSWERS, 'client', 'lan')
      })
    })
  }

  t.test(
    `${variant.name}: a host address, a shifted range, and a network under its own addresses`,
    async t => {
      const site = await NatSite.open(variant)
      t.teardown(site.close)
      const { client, outside, host } = site
      const web = site.get('web')
      for (const transport of TRANSPORTS) for (const port of [91, 92]) web.listen(transport, port)
      await site.install(
        intentOf({
          ports: [
            ...FAMILIES.flatMap(family => publishBoth(8080, { hostIp: addresses.lan[family] })),
            ...publishBoth(5000, { containerPort: 90, count: 3 }),
          ],
        }),
      )
      await t.test('a port of one address is of that address only', async t => {
        await reaches(t, client, 'lan', 8080, 'web', 'client')
        await isKeptFrom(t, outside, 'wan', 8080)
        await reaches(t, host, 'lan', 8080, 'web', 'lan')
      })
      await t.test('each port of a range leads to the one at the same distance', async t => {
        await isKeptFrom(t, client, 'lan', 5000)
        await reaches(t, client, 'lan', 5001, 'web', 'client')
        await reaches(t, client, 'lan', 5002, 'web', 'client')
        await isKeptFrom(t, client, 'lan', 5003)
      })
      await t.test(
        'without masquerade a container speaks under its own address and gets answers',
        async t => {
          await site.install(strangerIntent({ ipMasq: false }))
          for (const family of FAMILIES) {
            const network = (n: number): Record<Family, string> => ({
              4: `10.${n}.0.0/24`,
              6: `fd0${n}::/64`,
            })
            client.route(network(2)[family], addresses.lan[family])
          }
          await reaches(t, site.get('stranger'), 'client', ANSWERS, 'client', 'stranger')
          await isKeptFrom(t, client, 'stranger', ANSWERS)
        },
      )
    },
  )
}
