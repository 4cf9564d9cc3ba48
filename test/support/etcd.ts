/** A real etcd on loopback: members that are killed, frozen and started again with their data or without. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from 'tsnet/lab'

/** Ports of loopback that nobody has just now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => (server.address() as { port: number }).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}

export interface EtcdServer extends AsyncDisposable {
  /** One for each member. */
  endpoints: string[]
  start(member?: number): Promise<void>
  kill(member?: number, signal?: NodeJS.Signals): Promise<void>
  signal(signal: NodeJS.Signals, member?: number): void
  /** Nothing of what it knew is there when it starts again. */
  lose(): void
  /** What `etcdctl` says. */
  ctl(...words: string[]): Promise<string>
}

/** @param options of each member beside those that it takes */
export async function etcdServer({
  members = 1,
  options = [] as string[],
  scheme = 'http',
} = {}): Promise<EtcdServer> {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-'))
  const ports = await freePorts(2 * members)
  const at = (n: number) => ({
    name: `m${n}`,
    client: `${scheme}://127.0.0.1:${ports[2 * n]}`,
    peer: `http://127.0.0.1:${ports[2 * n + 1]}`,
  })
  const all = Array.from({ length: members }, (_, n) => at(n))
  const cluster = all.map(({ name, peer }) => `${name}=${peer}`).join(',')
  const running = new Map<number, ChildProcess>()
  const server: EtcdServer = {
    endpoints: all.map(({ client }) => client),
    async start(member = 0) {
      const { name, client, peer } = at(member)
      const words = [
        ...['--name', name, '--data-dir', join(folder, name), '--logger', 'zap', '--log-level', 'error'],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', cluster],
        ...['--heartbeat-interval', '50', '--election-timeout', '500', ...options],
      ]
      const child = spawn('etcd', words, { stdio: 'ignore' })
      running.set(member, child)
      if (running.size < members / 2) return
      await waitFor(() => (scheme === 'http' ? isHealthy(client) : isListening(client)), {
        withinMs: 30_000,
        what: 'etcd answers',
      })
    },
    async kill(member = 0, signal = 'SIGKILL') {
      const child = running.get(member)
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      running.delete(member)
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    },
    signal(signal, member = 0) {
      running.get(member)?.kill(signal)
    },
    lose() {
      for (const { name } of all) rmSync(join(folder, name), { recursive: true, force: true })
    },
    async ctl(...words) {
      const child = spawn('etcdctl', ['--endpoints', server.endpoints.join(','), ...words], {
        env: { ...process.env, ETCDCTL_API: '3' },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let text = ''
      child.stdout.on('data', chunk => {
        text += chunk
      })
      const [code] = await once(child, 'close')
      if (code !== 0) throw new Error(`etcdctl ${words.join(' ')} ended with ${code}: ${text}`)
      return text
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...running.keys()].map(member => server.kill(member)))
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await Promise.all(all.map((_, n) => server.start(n)))
  return server
}

async function isHealthy(client: string): Promise<boolean> {
  try {
    const answer = await fetch(`${client}/health`, { signal: AbortSignal.timeout(2_000) })
    return ((await answer.json()) as { health?: string }).health === 'true'
  } catch {
    return false
  }
}

async function isListening(client: string): Promise<boolean> {
  const socket = connect(Number(new URL(client).port), '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
