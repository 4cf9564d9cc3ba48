/**
 * Starts a docker-proxy as dockerd does, in a process of its own, and tells what comes of it:
 *
 *     node play-dockerd.js '{ "command": ["docker-proxy", "-proto", …], "listen": { … }, … }'
 *     → { "pid": 12 }
 *     → { "status": "0\n" }        all that came through descriptor 3, once it is closed
 *     → { "code": 0, "signal": null, "stdout": "", "stderr": "" }
 */

import { spawn } from 'node:child_process'
import { libc } from '../../src/ffi/ffi.ts'
import { openBound, type Transport } from '../../src/lab/sockets.ts'
import { parseIp } from '../../src/model/address/address.ts'

export interface Part {
  command: string[]
  /** A socket of ours that it gets as descriptor 4. */
  listen?: { transport: Transport; ip: string; port: number }
  /** Gets no descriptor 3. */
  mute?: boolean
  env?: Record<string, string>
  cwd?: string
}

const part = JSON.parse(process.argv[2] ?? '') as Part
const say = (value: unknown) => console.log(JSON.stringify(value))
const [program = '', ...args] = part.command
const { listen } = part
const fd4 = listen && openBound(listen.transport, parseIp(listen.ip), listen.port)
if (listen?.transport === 'tcp') libc.listen(fd4 ?? -1, 128)
const child = spawn(program, args, {
  stdio: ['ignore', 'pipe', 'pipe', part.mute ? 'ignore' : 'pipe', ...(fd4 === undefined ? [] : [fd4])],
  ...(part.env && { env: part.env }),
  ...(part.cwd !== undefined && { cwd: part.cwd }),
})
const output = { status: '', stdout: '', stderr: '' }
say({ pid: child.pid })
for (const [index, name] of [
  [1, 'stdout'],
  [2, 'stderr'],
  [3, 'status'],
] as const) {
  const stream = child.stdio[index]
  if (stream === null || stream === undefined) continue
  stream.on('data', chunk => {
    output[name] += chunk
  })
  if (name === 'status') stream.on('end', () => say({ status: output.status }))
}
child.on('exit', (code, signal) => {
  const { stdout, stderr } = output
  say({ code, signal, stdout, stderr })
  process.exit()
})
