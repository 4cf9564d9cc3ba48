/**
 * How long the kernel makes whoever deletes a link wait, by `ip` alone: no DEL that answers after the link is gone
 * can be faster. What `ip` itself takes is what it takes to show a link.
 */

import type { Part } from '../meter/meter.ts'
import type { Figure, Run, Step } from '../meter/plan.ts'
import { ip } from '../sandbox.ts'
import { summarize } from '../statistics.ts'
import type { Host } from './host.ts'

/** What is waited for: a container's link, and a network's bridge with it. */
const WAITS = { link: 'a link is deleted', bridge: 'a bridge is deleted' } as const
const NO_WAIT = 'a link is shown'

export class Kernel {
  readonly samples = new Map<string, number[]>()
  readonly #host: Host

  constructor(host: Host) {
    this.#host = host
    ip('netns', 'add', 'kernel-guest')
  }

  /** Makes both and deletes both, with a pause before each deletion. @param suffix of what is kept */
  turn(pauseMs: number, suffix: string): Part[] {
    const pause: Step = { pauseMs }
    const make = ['probe0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'kernel-guest']
    return [
      { steps: [{ netns: this.#host.netns }, run('link', 'add', ...make)] },
      { steps: [run('link', 'set', 'probe0', 'up'), run('link', 'add', 'probebr', 'up', 'type', 'bridge')] },
      { steps: [run('link', 'set', 'probe0', 'master', 'probebr')] },
      { steps: [pause, run('link', 'show', 'lo')], keep: this.#keep(`${NO_WAIT}${suffix}`) },
      { steps: [pause, run('link', 'del', 'probe0')], keep: this.#keep(`${WAITS.link}${suffix}`) },
      { steps: [pause, run('link', 'del', 'probebr')], keep: this.#keep(`${WAITS.bridge}${suffix}`) },
    ]
  }

  /** The median of a wait, without `ip`'s own time. */
  waitMs(wait: keyof typeof WAITS, suffix: string): number {
    const median = (name: string) => summarize(this.samples.get(`${name}${suffix}`) ?? []).median
    return Math.max(0, median(WAITS[wait]) - median(NO_WAIT))
  }

  #keep(name: string) {
    return ([figure]: readonly Figure[]) => {
      if (figure) this.samples.set(name, [...(this.samples.get(name) ?? []), figure.ms])
    }
  }
}

const run = (...words: string[]): { run: Run } => ({
  run: { name: 'ip', command: ['ip', ...words], env: { PATH: process.env.PATH ?? '' }, stdin: [] },
})
