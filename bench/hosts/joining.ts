/**
 * A host that comes: from the moment that its daemon says it is ready until it leads to all others, and all others to it.
 */

import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { addHost, type BenchHost, said, startOn, until } from './site.ts'

/** Hosts that are there before. */
const THERE = 3

/** Hears of routes on a host as they are made. */
class Ear implements Disposable {
  /** When the route to each prefix was there. */
  readonly heard = new Map<string, number>()
  readonly #process

  constructor({ netns }: BenchHost) {
    this.#process = spawn('nsenter', [`--net=${netns}`, 'stdbuf', '-oL', 'ip', 'monitor', 'route'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) {
        const [, prefix] = /^(\d\S+\/24) via .*proto 116/.exec(line) ?? []
        if (prefix !== undefined) this.heard.set(prefix, performance.now())
      }
    })
  }

  [Symbol.dispose](): void {
    this.#process.kill()
  }
}

/** The prefix of a host, once it has one. */
function prefixOf(host: BenchHost): string | undefined {
  const [, number] = /inet (10\.\d+\.\d+)\.0\/32/.exec(said(host, 'ip', '-4', 'address')) ?? []
  return number && `${number}.0/24`
}

/** @returns milliseconds of each; 0: it was so when it was ready */
export async function measureJoining(rounds: number): Promise<number[]> {
  const there = Array.from({ length: THERE }, (_, n) => addHost(`there${n}`, 11 + n, '/joining'))
  const ears: Ear[] = []
  const times: number[] = []
  try {
    for (const host of there) await startOn(host)
    const prefixes: string[] = []
    for (const host of there) {
      await until(() => prefixOf(host) !== undefined, 'a prefix')
      prefixes.push(prefixOf(host) ?? '')
      ears.push(new Ear(host))
    }
    for (let round = 0; round < rounds; round++) {
      const host = addHost(`comes${round}`, 21 + round, '/joining')
      using own = new Ear(host)
      await sleep(100)
      await startOn(host)
      const ready = performance.now()
      await until(() => prefixes.every(prefix => own.heard.has(prefix)), 'it knows the others')
      const prefix = prefixOf(host) ?? ''
      await until(() => ears.every(({ heard }) => heard.has(prefix)), 'the others know it')
      const all = [
        ...prefixes.map(each => own.heard.get(each)),
        ...ears.map(({ heard }) => heard.get(prefix)),
      ]
      times.push(Math.max(0, ...all.map(at => (at ?? Number.NaN) - ready)))
      said(there[0] as BenchHost, 'ping', '-c1', '-w1', prefix.replace('/24', ''))
      await host.daemon?.stop()
    }
    return times
  } finally {
    for (const ear of ears) ear[Symbol.dispose]()
    for (const host of there) await host.daemon?.stop()
  }
}
