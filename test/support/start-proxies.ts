/**
 * Starts docker-proxies one after the other, as dockerd does for a range, of several implementations in turn:
 *
 *     node start-proxies.js '["/usr/sbin/docker-proxy", "/…/docker-proxy"]'
 *     → [[7.4, 8.1, 7.7], [5.8, 5.9, 5.8]]        ms until one is ready, in each round
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const ROUNDS = 3
const EACH = 60
let port = 20_000

async function start(program: string): Promise<ChildProcess> {
  const args = `-proto tcp -host-ip 127.0.0.1 -host-port ${port++} -container-ip 127.0.0.2 -container-port 80`
  const child = spawn(program, args.split(' '), { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  const [, , , status] = child.stdio
  const [said] = status ? await once(status, 'data') : []
  if (String(said) !== '0\n') throw new Error(`${program}: ${said}`)
  return child
}

const stop = (child: ChildProcess) => {
  child.kill('SIGINT')
  return once(child, 'exit')
}

const programs = JSON.parse(process.argv[2] ?? '[]') as string[]
const times: number[][] = programs.map(() => [])
// Whatever has to be started for all is started now.
const first = await Promise.all(programs.map(start))
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, program] of programs.entries()) {
    const children = []
    const began = performance.now()
    for (let i = 0; i < EACH; i++) children.push(await start(program))
    times[index]?.push((performance.now() - began) / EACH)
    await Promise.all(children.map(stop))
  }
}
await Promise.all(first.map(stop))
console.log(JSON.stringify(times))
