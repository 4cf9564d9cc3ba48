import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { collectLeases, giveBack, ipamStatus, obtain } from '../../src/ipam/ipam.ts'
import { type Ip, parseIp } from '../../src/model/address/address.ts'
import { hasCode } from '../../src/model/errors.ts'
import {
  addressesOf,
  type HostLocal,
  hostLocal,
  leaseFiles,
  NETWORK,
  owner,
  plantLease,
} from '../support/leases.ts'

// A pool of seven addresses in two ranges, six containers of ours and three of host-local's, in any order
// of events. The model knows who has which address and since which boot; it does not know which address
// is given next, only which must not be.

const addresses = ['10.1.0.2', '10.1.0.3', '10.1.0.4', '10.1.0.5', '10.1.0.6', '10.2.0.2', '10.2.0.3'] as Ip[]
const ours = ['a', 'b', 'c', 'd', 'e', 'f']
const theirs = ['x', 'y', 'z']
const GARBAGE = ''

const someAddress = fc.constantFrom(...addresses)
const event = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('take' as const), who: fc.constantFrom(...ours) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      who: fc.constantFrom(...ours),
      ip: someAddress,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('release' as const), who: fc.constantFrom(...ours, ...theirs) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reboot' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('plant' as const),
      who: fc.constantFrom(...theirs, GARBAGE),
      ip: someAddress,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('theyRelease' as const), who: fc.constantFrom(...ours) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('collect' as const), keep: fc.subarray([...ours, ...theirs]) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('collectDead' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('status' as const) }) },
)
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never

class World {
  readonly options: HostLocal
  /** Who should have which address. Of the dead, some may be freed already. */
  held = new Map<Ip, { who: string; boot: number }>()
  boot = 0

  constructor(folder: string) {
    this.options = hostLocal(folder, ['10.1.0.0/29', { subnet: '10.2.0.0/29', rangeEnd: '10.2.0.3' }])
  }

  // collectLeases and ipamStatus ask the kernel which boot this is; what it says is never the boot of a lease.
  get bootId() {
    return `boot ${this.boot}`
  }

  firm(ip: Ip): boolean {
    const holder = this.held.get(ip)
    if (holder === undefined || holder.who === GARBAGE) return false
    return theirs.includes(holder.who) || holder.boot === this.boot
  }

  get full(): boolean {
    return addresses.every(ip => this.firm(ip))
  }

  addressOf(who: string): Ip[] {
    return addresses.filter(ip => this.held.get(ip)?.who === who)
  }

  drop(wanted: (who: string, boot: number) => boolean): void {
    for (const [ip, { who, boot }] of this.held) if (wanted(who, boot)) this.held.delete(ip)
  }
}

async function run(world: World, event: Event): Promise<void> {
  const { options } = world
  switch (event.kind) {
    case 'take':
    case 'request': {
      const requested = event.kind === 'request' ? [event.ip] : []
      const known = world.addressOf(event.who)
      const expected = known.some(ip => world.firm(ip))
        ? 'conflict'
        : (requested[0] === undefined ? world.full : world.firm(requested[0]))
          ? 'exhausted'
          : 'success'
      const outcome = await obtain(options, owner(event.who, { bootId: world.bootId }), requested).then(
        ({ leases }) => addressesOf(leases),
        (thrown: unknown) =>
          hasCode(thrown, 'conflict') ? 'conflict' : hasCode(thrown, 'exhausted') ? 'exhausted' : thrown,
      )
      if (!Array.isArray(outcome)) {
        if (outcome !== expected) throw new Error(`${expected} expected, not ${outcome}`)
        // Its own earlier life is dropped before it is refused.
        return
      }
      const [ip] = outcome
      if (expected !== 'success' || ip === undefined || outcome.length !== 1)
        throw new Error(`${expected} expected`)
      if (world.firm(ip)) throw new Error(`${ip} was given twice`)
      if (requested.length > 0 && ip !== requested[0]) throw new Error(`${ip} was not asked for`)
      world.drop(who => who === event.who)
      world.held.set(ip, { who: event.who, boot: world.boot })
      return
    }
    case 'release':
      await giveBack(options, owner(event.who), undefined)
      return world.drop(who => who === event.who)
    case 'reboot':
      world.boot++
      return
    case 'plant': {
      if (leaseFiles(options.dataDir)[event.ip] !== undefined) return
      plantLease(options.dataDir, event.ip, event.who === GARBAGE ? '' : `${event.who}\r\neth0`)
      world.held.set(event.ip, { who: event.who, boot: world.boot })
      return
    }
    case 'theyRelease': {
      for (const [ip, text] of Object.entries(leaseFiles(options.dataDir))) {
        if (text === `${event.who}\r\neth0`) rmSync(join(options.dataDir, NETWORK, ip))
      }
      return world.drop(who => who === event.who)
    }
    case 'collect':
      await collectLeases(
        options,
        NETWORK,
        event.keep.map(containerId => ({ containerId, ifname: 'eth0' })),
      )
      return world.drop(who => !event.keep.includes(who))
    case 'collectDead':
      await collectLeases(options, NETWORK, undefined)
      return world.drop(who => !theirs.includes(who))
    case 'status': {
      const freeable = addresses.some(ip => !theirs.includes(world.held.get(ip)?.who ?? GARBAGE))
      const outcome = await ipamStatus(options, NETWORK).then(
        () => true,
        () => false,
      )
      if (outcome !== freeable) throw new Error(`STATUS should say ${freeable}`)
    }
  }
}

t.test('whatever happens in whatever order, no address is given twice and none is lost', async t => {
  const folder = t.testdir()
  let events = 0
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 60 }), async list => {
      const world = new World(mkdtempSync(join(folder, 'run-')))
      for (const event of list) {
        await run(world, event)
        events++
        const files = leaseFiles(world.options.dataDir)
        for (const [ip, { who }] of world.held) {
          const expected = who === GARBAGE ? '' : `${who}\r\neth0`
          if (world.firm(ip) && files[ip] !== expected) throw new Error(`${who} lost ${ip}`)
        }
        for (const ip of Object.keys(files)) {
          if (world.held.get(parseIp(ip)) === undefined) throw new Error(`nobody should have ${ip}`)
        }
      }
      rmSync(world.options.dataDir, { recursive: true })
    }),
    { numRuns: 120 },
  )
  t.comment(`${events} events`)
})
