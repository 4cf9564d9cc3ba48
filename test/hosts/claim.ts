/**
 * Prefixes as a model: hosts that are cut off, die, reboot and come back, on an etcd whose answers get lost.
 */

import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import {
  beat,
  type Claim,
  type ClaimContext,
  chooseNumber,
  claim,
  endOf,
  readView,
} from '../../src/hosts/claim.ts'
import { emptyView, keysOf, type Layout } from '../../src/hosts/keys.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { EtcdModel } from '../support/etcd-model.ts'

const layout: Layout = {
  pools: [{ subnet: parseCidr('10.200.0.0/16'), hostPrefix: 18 }],
  carrier: 'vxlan',
  port: 4789,
}
const keys = keysOf('/tsnet', 'front')
const idOf = (n: number): string => n.toString(16).padStart(16, '0')
const selfOf = (n: number, instance: string) => ({
  id: idOf(n),
  layout,
  word: { name: `host${n}`, addresses: [parseIp(`10.0.0.${n + 1}`)], mac: '06:00:00:00:00:01', instance },
  routesKeptS: 100,
  prefixKeptS: 120,
  beatMs: 1_000,
})

/** A host of which everything answers at once. */
function contextOf(model: EtcdModel, n: number, instance = 'one'): ClaimContext {
  return {
    store: model.store(async () => {}),
    keys,
    self: selfOf(n, instance),
    clock: () => model.now,
    pause: async ms => model.advance(ms),
    random: () => 0,
  }
}

t.test('hosts get prefixes one after the other, and what is written is what is read', async t => {
  const model = new EtcdModel()
  const claims: Claim[] = []
  for (const n of [0, 1, 2]) claims.push(await claim(contextOf(model, n)))
  t.strictSame(
    claims.map(({ number }) => number),
    [0, 1, 2],
  )
  const view = await readView(contextOf(model, 0).store, keys)
  t.strictSame(view.layout?.value, layout)
  t.strictSame(
    [...view.claims].map(([number, { value }]) => [number, value]),
    [0, 1, 2].map(n => [n, idOf(n)]),
  )
  t.match(view.hosts.get(idOf(1))?.value, { name: 'host1', number: 1, addresses: ['10.0.0.2'] })
  t.equal(view.ignored.size, 0)
})

t.test(
  'a host that comes back in time has its prefix again, and later the one it had if nobody took it',
  async t => {
    const model = new EtcdModel()
    const first = await claim(contextOf(model, 0))
    await claim(contextOf(model, 1))
    model.advance(100_000)
    t.equal((await claim(contextOf(model, 0))).number, first.number)
    model.advance(200_000)
    t.equal(model.entries.has(keys.claim(0)), false, 'it is over')
    t.equal((await claim({ ...contextOf(model, 0), random: () => 0.9 }, 0)).number, 0)
    model.advance(200_000)
    t.equal((await claim(contextOf(model, 1))).number, 0, 'now another has it')
    t.not((await claim(contextOf(model, 0), 0)).number, 0)
  },
)

t.test('a full network says so, and what can be done', async t => {
  const model = new EtcdModel()
  for (const n of [0, 1, 2, 3]) await claim(contextOf(model, n))
  await t.rejects(claim(contextOf(model, 4)), { code: 'exhausted', message: /all 4 prefixes/ })
})

t.test(
  'a host with other subnets is refused, and so is a second daemon with one id while the first lives',
  async t => {
    const model = new EtcdModel()
    const first = contextOf(model, 0)
    const held = await claim(first)
    const other = { ...layout, pools: [{ subnet: parseCidr('10.200.0.0/16'), hostPrefix: 24 }] }
    const odd = contextOf(model, 1)
    await t.rejects(claim({ ...odd, self: { ...odd.self, layout: other } }), {
      code: 'conflict',
      message: /\/24/,
    })
    const twin = contextOf(model, 0, 'another')
    const pause = async (ms: number) => {
      for (let left = ms; left > 0; left -= 1_000) {
        model.advance(Math.min(left, 1_000))
        await beat(first, held, false)
      }
    }
    await t.rejects(claim({ ...twin, pause }), { code: 'conflict', message: /another daemon speaks as host/ })
    t.equal(
      (await claim(twin)).number,
      held.number,
      'once the first is dead, it is the same host after a reboot',
    )
  },
)

t.test(
  'a lease ends for the host before it can end for etcd, however the clocks go within one in a hundred',
  t => {
    t.ok(endOf(1_000, 60) < 1_000 + 60_000 * 0.991)
    t.equal(endOf(1_000, 0), 1_000)
    t.end()
  },
)

t.test('a number of one that is not in the network any more is not asked for', async t => {
  const view = emptyView('1', 1)
  t.equal(chooseNumber(view, { id: idOf(0), layout }, 9, 0.5), 2)
})

/** So few that hosts want each other's. */
const narrow: Layout = { ...layout, pools: [{ subnet: parseCidr('10.200.0.0/16'), hostPrefix: 17 }] }

/** What happens next: a host's request or answer arrives or is lost, time passes, a daemon or its machine begins anew. */
const turn = fc.oneof(
  { weight: 30, arbitrary: fc.record({ kind: fc.constant('moves' as const), host: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('loses' as const), host: fc.nat(3) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.nat(20_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restarts' as const), host: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reboots' as const), host: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leader' as const) }) },
)
type Turn = typeof turn extends fc.Arbitrary<infer T> ? T : never

/** A machine: what it believes outlives its daemon, as a file does. */
class Machine {
  held: Claim | undefined
  /** What its daemon waits for: a request or an answer on its way, or a time. */
  #pending: { go(): void; lose(): void; due: number } | undefined
  #boots = 0
  #life = 0

  readonly n: number
  readonly model: EtcdModel

  constructor(n: number, model: EtcdModel) {
    this.n = n
    this.model = model
  }

  /** Clocks begin anywhere, and go up to a hundredth wrong. */
  get now(): number {
    return this.n * 1_000_000 + this.model.now * (1 + (this.n - 1.5) * 0.0066)
  }

  begin(isReboot: boolean): void {
    this.#life++
    if (isReboot) this.#boots++
    this.#pending = undefined
    void this.#live(this.#life)
  }

  turn(isLost: boolean): void {
    const pending = this.#pending
    if (pending === undefined || pending.due > this.model.now) return
    this.#pending = undefined
    if (isLost) pending.lose()
    else pending.go()
  }

  /** Another life's promises are waited for by nobody. */
  #way(due = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending = { go: resolve, lose: () => reject(new Error('lost')), due }
    })
  }

  async #live(life: number): Promise<void> {
    const context: ClaimContext = {
      store: this.model.store(() => this.#way()),
      keys,
      self: { ...selfOf(this.n, `boot ${this.#boots}`), layout: narrow },
      clock: () => this.now,
      pause: ms => this.#way(this.model.now + ms),
      random: () => this.n / 4,
    }
    let mine: Claim | undefined
    for (let count = 0; life === this.#life; count++) {
      try {
        if (mine === undefined) mine = await claim(context, this.held?.number)
        else {
          const result = await beat(context, mine, count % 3 === 0)
          mine = result.kind === 'kept' ? result.claim : undefined
        }
        if (mine !== undefined && life === this.#life) this.held = mine
      } catch {
        // It tries again.
      }
      await this.#way().catch(() => {})
    }
  }
}

/**
 * @param cheat what hosts add to the time until which they believe in their prefixes
 * @returns two hosts that believed in one prefix at a time
 */
async function play(turns: Turn[], cheat = 0): Promise<string | undefined> {
  const model = new EtcdModel()
  const machines = [0, 1, 2, 3].map(n => new Machine(n, model))
  for (const each of machines) each.begin(false)
  for (const each of turns) {
    if (each.kind === 'time') model.advance(each.ms)
    else if (each.kind === 'leader') model.newLeader()
    else if (each.kind === 'restarts' || each.kind === 'reboots')
      machines[each.host]?.begin(each.kind === 'reboots')
    else machines[each.host]?.turn(each.kind === 'loses')
    await setImmediate()
    const believed = new Map<number, number>()
    for (const { n, held, now } of machines) {
      if (held === undefined || now >= held.until + cheat) continue
      const other = believed.get(held.number)
      if (other !== undefined) return `hosts ${other} and ${n} have prefix ${held.number} at ${model.now}`
      believed.set(held.number, n)
    }
  }
  return undefined
}

const turns = fc.array(turn, { minLength: 200, maxLength: 400, size: 'max' })

t.test('no two hosts ever believe in one prefix, whatever gets lost and whoever dies', async t => {
  await fc.assert(
    fc.asyncProperty(turns, async turns => {
      const wrong = await play(turns)
      if (wrong !== undefined) throw new Error(wrong)
    }),
    { numRuns: 200 },
  )
  t.pass('held')
})

t.test('the model finds hosts that believe for too long', async t => {
  const found = await fc.check(
    fc.asyncProperty(turns, async turns => (await play(turns, 60_000)) === undefined),
    { numRuns: 200, endOnFailure: true },
  )
  t.ok(found.failed)
  t.comment(`after ${found.numRuns} runs`)
})
