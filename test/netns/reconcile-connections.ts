/**
 * Connections that began while rules were lacking find their way once those are back; the others are left alone.
 *
 *     client 192.168.50.2 ── host 192.168.50.1 ── br-front ── a 10.10.0.2, published on 8002/udp
 */

import t from 'tap'
import type { Place } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { addressOf } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const FLUSH = {
  nftables: 'nft flush table inet tsnet',
  iptables: 'for command in iptables ip6tables; do $command -t nat -F; done',
} as const
/** A firewall that tracks connections while we have no rules: else none would be known when they come back. */
const TRACKER = `nft 'add table inet other; add chain inet other input { type filter hook input priority 0; };
  add rule inet other input ct state established accept'`
const PORT = 8002
const [OLD, LONG, ASKING] = [5001, 5002, 5003]

for (const backend of BACKENDS) {
  t.test(`${backend}: datagrams that began without rules go by them once they are back`, async t => {
    const scene = await Scene.open(backend, 'a')
    t.teardown(() => scene.close())
    const { host, client } = scene
    const a = scene.get('a')
    const ports = [{ hostPort: PORT, containerPort: ANSWERS, protocol: 'udp' }]
    const result = await scene.network('front', 10).add(a, { ports })
    await host.run('sh', '-ec', TRACKER)
    const ask = (place: Place, to: string, port: number, fromPort: number, withinMs = 10_000) =>
      place.ask('udp', to, port, { fromPort, withinMs })
    for (const family of [4, 6] as const) {
      const address = addressOf(result, family)
      const old = async () => {
        const options = ['-L', '-o', 'id', '-p', 'udp', '--orig-src', address, '--sport', String(OLD)]
        const { stdout } = await host.run('conntrack', ...options)
        return /id=(\d+)/.exec(stdout)?.[1]
      }
      t.match(await ask(a, CLIENT[family], ANSWERS, OLD), { peer: HOST[family] })
      const id = await old()
      t.type(id, 'string')

      await host.run('sh', '-c', FLUSH[backend])
      await t.rejects(ask(a, CLIENT[family], ANSWERS, LONG, 300), 'nobody can answer its own address')
      await t.rejects(ask(client, HOST[family], PORT, ASKING, 300), 'the host has nobody there')
      await new Command(host, backend).run('reconcile')

      t.match(await ask(a, CLIENT[family], ANSWERS, LONG), { peer: HOST[family] }, 'it leaves as the host')
      t.match(await ask(client, HOST[family], PORT, ASKING), { place: 'a' }, 'it comes to the container')
      t.equal(await old(), id, 'what was well is left alone')
    }
  })
}
