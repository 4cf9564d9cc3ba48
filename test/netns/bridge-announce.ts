/** Neighbours of an address that goes to another container. */

import t from 'tap'
import { type Host, lab, type Namespace, waitFor } from 'tsnet/lab'
import { CONTAINER, describePlan } from '../../src/bridge/describe.ts'
import { planLink } from '../../src/bridge/plan/plan.ts'
import { connectOn, disconnectOn } from '../support/connect.ts'
import { linkRequest, ownerOf } from '../support/link-plan.ts'

const request = (name: string, leases: string[], mac?: string) =>
  linkRequest({ isGateway: true }, { owner: ownerOf(name), leases, ...(mac && { mac }) })

const macOf = async (place: Host | Namespace, ip: string): Promise<string | undefined> => {
  const { stdout } = await place.run('ip', '-j', 'neighbour', 'show', ip)
  return (JSON.parse(stdout) as { lladdr?: string }[])[0]?.lladdr
}

const ADDRESSES = ['10.1.0.2', 'fd01::2']
const LEASES = ['10.1.0.2/24', 'fd01::2/64']
const OLD = '02:00:00:00:00:01'
const NEW = '02:00:00:00:00:02'

/** The gateway and a neighbour have spoken with a container that is gone now. */
async function reused() {
  const world = await lab()
  const host = await world.host('host')
  const [old, next, neighbour] = [
    await host.namespace('old'),
    await host.namespace('next'),
    await host.namespace('neighbour'),
  ]
  await connectOn(host, neighbour, request('neighbour', ['10.1.0.3/24', 'fd01::3/64']))
  await connectOn(host, old, request('old', LEASES, OLD))
  old.listen('udp', 7)
  for (const address of ADDRESSES) {
    for (const place of [host, neighbour]) await place.ask('udp', address, 7)
  }
  await disconnectOn(host, ownerOf('old'))
  return { world, host, next, neighbour }
}

t.test('neighbours and gateway learn the new MAC of an address without asking', async t => {
  const { world, host, next, neighbour } = await reused()
  for (const place of [host, neighbour]) {
    for (const address of ADDRESSES)
      t.equal(await macOf(place, address), OLD, `${place.name} knows ${address}`)
  }
  await connectOn(host, next, request('next', LEASES, NEW))
  for (const place of [host, neighbour]) {
    for (const address of ADDRESSES) {
      const learned = async () => (await macOf(place, address)) === NEW
      await waitFor(learned, { what: `${place.name} to learn ${address}` })
    }
  }
  t.pass('all have learned it')
  await world.end()
})

t.test('the same link made without the announcement leaves them with the old one', async t => {
  const { world, host, neighbour } = await reused()
  const commands = describePlan(planLink(request('next', LEASES, NEW)))
    .filter(line => !/_notify|set eth0 address/.test(line))
    .filter(line => !line.includes('cni0') || line.includes('veth'))
  await host.run('sh', '-ec', commands.join('\n').replaceAll(CONTAINER, 'next'))
  for (const place of [host, neighbour]) {
    for (const address of ADDRESSES)
      t.equal(await macOf(place, address), OLD, `${place.name} about ${address}`)
  }
  await world.end()
})
