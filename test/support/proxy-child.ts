/**
 * A proxy in a process of its own: publishes what its argument says, and answers questions on stdin.
 *
 *     node proxy-child.js '[{ "id": "web", … }, …]'
 *     → { "ports": [8080], "cpuMs": 3, "rssBefore": 4e7 }    one line when all is published
 *     "counters\n" → { "web": { … } }
 *     "fds\n"      → 42
 *     "throw\n"    → dies of an uncaught error
 */

import { readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { type Publication, startProxy } from '../../src/proxy/proxy.ts'

const answer = (value: unknown) => console.log(JSON.stringify(value))

const proxy = startProxy({
  workers: Number(process.argv[3] ?? 1),
  onFault: message => console.error(message),
})
const rssBefore = process.memoryUsage.rss()
const started = process.cpuUsage()
const ports = JSON.parse(process.argv[2] ?? '[]').map((publication: Publication) =>
  proxy.publish(publication),
)
const { user, system } = process.cpuUsage(started)
answer({ ports, cpuMs: (user + system) / 1000, rssBefore })

const answers: Record<string, () => unknown> = {
  counters: () => Object.fromEntries(proxy.counters()),
  fds: () => readdirSync('/proc/self/fd').length,
  rss: () => process.memoryUsage.rss(),
}
const lines = createInterface({ input: process.stdin })
lines.on('line', line => {
  if (line === 'throw') throw new Error('on purpose')
  answer(answers[line]?.())
})
lines.on('close', () => void proxy.close())
