/** What the kernel is asked for when connections are forgotten. */

import t from 'tap'
import { lab } from 'tsnet/lab'
import { parseIp } from '../../src/model/address/address.ts'
import { endFlows, flushConntrack } from '../../src/nat/nat.ts'
import { netfilterHere } from '../../src/netfilter/netfilter.ts'

t.test('where nothing is tracked nothing is asked for, and where something is, it goes', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const nl = host.inside(netfilterHere)
  let requests = 0
  const [change, dump] = [nl.change.bind(nl), nl.dump.bind(nl)]
  nl.change = request => {
    requests++
    change(request)
  }
  nl.dump = request => {
    requests++
    return dump(request)
  }
  const ports = [{ protocol: 'udp', hostPort: 5353, containerPort: 53, count: 1 } as const]
  const container = parseIp('10.1.0.2')
  const forget = () =>
    host.inside(() => {
      flushConntrack([container], ports)
      endFlows(ports)
    })
  forget()
  t.equal(requests, 0)
  const tracked = async () => (await host.run('conntrack', '-C')).stdout.trim()
  const from = ['-p', 'udp', '-s', '10.9.0.1', '--sport', '4000', '--dport', '53', '-t', '60'] as const
  for (const other of ['10.1.0.2', '10.1.0.3']) await host.run('conntrack', '-I', '-d', other, ...from)
  t.equal(await tracked(), '2')
  forget()
  t.ok(requests > 0)
  t.equal(await tracked(), '1', 'that of somebody else stays')
})
