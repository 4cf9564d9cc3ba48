/** What is asked of a published port: a bulk transfer, requests, connections, datagrams. */

import type { ChildProcess } from 'node:child_process'
import { lineOf, program, run, type Side } from './scene.ts'

export const SECONDS = '1'
/** Connections that wrk keeps, or makes anew at once. */
export const KEPT = 64
export const UDP_BYTES = 64
const UDP_TRIAL_MS = 400
const LOST_AT_MOST = 0.002
const US: Record<string, number> = { us: 1, ms: 1e3, s: 1e6 }

/** Gbit/s that arrive. */
export function iperf({ ip, iperf, from = 'client' }: Side, streams: number): number {
  const options = ['-c', ip, '-p', String(iperf), '-t', SECONDS, '-P', String(streams), '-J']
  const { end } = JSON.parse(run(from, 'iperf3', ...options))
  return end.sum_received.bits_per_second / 1e9
}

export interface Requests {
  /** Per second. */
  rate: number
  medianUs: number
  p99Us: number
}

/** @param more options of wrk */
export function wrk({ ip, http, from = 'client' }: Side, connections: number, ...more: string[]): Requests {
  const options = ['-t1', `-c${connections}`, `-d${SECONDS}s`, '--latency', ...more]
  const text = run(from, 'wrk', ...options, `http://${ip}:${http}/`)
  const percentile = (percent: number) => {
    const [, value, unit = ''] = new RegExp(` ${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(text) ?? []
    return Number(value) * (US[unit] ?? Number.NaN)
  }
  const [, rate] = /Requests\/sec:\s+([\d.]+)/.exec(text) ?? []
  return { rate: Number(rate), medianUs: percentile(50), p99Us: percentile(99) }
}

/** Datagrams per second of which no more are lost than would be by chance: doubles, then looks closer. */
export async function udpRate(ip: string, port: number, sink: ChildProcess): Promise<number> {
  const counted = async () => {
    const line = lineOf(sink)
    sink.stdin?.write('\n')
    return Number(await line)
  }
  const arrives = async (rate: number) => {
    await counted()
    const words = [ip, port, rate, UDP_TRIAL_MS, UDP_BYTES].map(String)
    const sent = Number(run('client', process.execPath, program('udp-load'), 'send', ...words))
    await new Promise(resolve => setTimeout(resolve, 50))
    const received = await counted()
    // A sender that cannot keep up has not shown that this rate arrives.
    const full = sent >= (rate * UDP_TRIAL_MS * 0.95) / 1000
    return full && received >= sent * (1 - LOST_AT_MOST)
  }
  let good = 10_000
  while (good < 2e6 && (await arrives(good * 2))) good *= 2
  let bad = good * 2
  for (let step = 0; step < 3; step++) {
    const middle = Math.sqrt(good * bad)
    if (await arrives(middle)) good = middle
    else bad = middle
  }
  return good
}
