/** Connects from processes of their own: killed at any step, or where /proc/sys is read-only. */

import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type Host, lab } from 'tsnet/lab'
import type { BridgeLoan, LinkRequest } from '../../src/bridge/bridge.ts'
import { disconnectOn, FOREIGN_BRIDGE, releaseOn } from '../support/connect.ts'
import type { ChildTask } from '../support/connect-child.ts'
import { kernelState, lastingChangesSince } from '../support/kernel-state.ts'
import { linkRequest, OWNER } from '../support/link-plan.ts'

const CHILD = fileURLToPath(new URL('../support/connect-child.js', import.meta.url))

interface Outcome {
  killed: boolean
  connection?: object
  error?: string
  loan?: BridgeLoan
}

/** @param wrap a shell script that runs `"$@"` */
async function connectInChild(
  host: Host,
  request: LinkRequest,
  dieAt?: number,
  wrap = 'exec "$@"',
): Promise<Outcome> {
  const task: ChildTask = { request, netns: '/run/netns/web', ...(dieAt && { dieAt }) }
  const words = ['sh', '-ec', wrap, 'sh', process.execPath, CHILD]
  const { code, stdout } = await host.run(...words, { stdin: JSON.stringify(task), mayFail: true })
  const said = stdout
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))
  return Object.assign({ killed: code === 137 }, ...said)
}

/** What stands in a container after its interface is gone is the container's own business. */
const OF_CONTAINER = /^\w+ web /

t.test('killed at any step, the link and our bridge are found and taken down without a record', async t => {
  const world = await lab()
  const host = await world.host('host')
  await host.namespace('web')
  const request = linkRequest(
    { isDefaultGateway: true, portIsolation: true },
    { leases: ['10.1.0.2/24', 'fd01::2/64'] },
  )
  const before = kernelState(host)
  // Up to the container's own settings, which go with the link, and not at all.
  for (let step = 1; ; step++) {
    const { killed, error } = await connectInChild(host, request, step)
    t.equal(error, undefined)
    const inContainer = (await host.run('ip', '-br', 'link', 'show', 'type', 'veth')).stdout.includes('UP')
    await disconnectOn(host, OWNER)
    await releaseOn(host, 'cni0')
    t.same(await lastingChangesSince(host, before), [], `killed before step ${step}`)
    if (!killed || inContainer) break
  }
  await world.end()
})

t.test('killed at any step, a bridge of somebody else is given back what was lent', async t => {
  const world = await lab()
  const host = await world.host('host')
  await host.namespace('web')
  await host.run('sh', '-ec', FOREIGN_BRIDGE)
  const before = kernelState(host)
  const request = linkRequest(
    { isGateway: true, promiscMode: true },
    { leases: ['10.1.0.2/24', 'fd01::2/64'] },
  )
  for (let step = 1; ; step++) {
    const { killed, loan } = await connectInChild(host, request, step)
    const reachedVeth = (await host.run('ip', 'link', 'show', 'type', 'veth')).stdout.includes('tsnet:')
    await disconnectOn(host, OWNER)
    await releaseOn(host, 'cni0', loan)
    t.same(await lastingChangesSince(host, before, OF_CONTAINER), [], `killed before step ${step}`)
    // The steps from then on are those of the test above.
    if (!killed || reachedVeth) break
  }
  await world.end()
})

t.test('a read-only /proc/sys stops only what cannot do without it', async t => {
  const readOnly = 'mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys; exec "$@"'
  const wrap = `exec unshare -m sh -ec '${readOnly}' sh "$@"`
  const world = await lab()
  const host = await world.host('host')
  await host.namespace('web')
  const before = kernelState(host)
  const v4 = linkRequest({ isGateway: true }, { leases: ['10.1.0.2/24'] })
  t.match(await connectInChild(host, v4, undefined, wrap), { connection: {} }, 'IPv4')
  await disconnectOn(host, OWNER)
  await releaseOn(host, 'cni0')
  const v6 = linkRequest({ isGateway: true }, { leases: ['fd01::2/64'] })
  t.match(
    await connectInChild(host, v6, undefined, wrap),
    { error: /^cannot set net\/ipv6\/conf\/cni0\/accept_ra to 0: EROFS/ },
    'IPv6',
  )
  t.same(await lastingChangesSince(host, before), [])
  await world.end()
})
