/** IPv6 in containers: where there is none, who may advertise routes, and duplicate addresses. */

import t from 'tap'
import { lab, waitFor } from 'tsnet/lab'
import { connectOn } from '../support/connect.ts'
import { changesSince, kernelState, lastingChangesSince } from '../support/kernel-state.ts'
import { linkRequest, ownerOf } from '../support/link-plan.ts'
import { advertiseRouter } from '../support/router-advertisement.ts'

const gateway = { isDefaultGateway: true }
const web = (leases: string[], options = {}) =>
  linkRequest({ ...gateway, ...options }, { owner: ownerOf('web'), leases })
const db = (leases: string[], options = {}) =>
  linkRequest({ ...gateway, ...options }, { owner: ownerOf('db'), leases })

t.test('a container without an IPv6 address has no IPv6 at all', async t => {
  const world = await lab()
  const host = await world.host('host')
  const place = await host.namespace('web')
  await connectOn(host, place, web(['10.1.0.2/24']))
  const { stdout } = await place.run('ip', '-6', 'address', 'show', 'dev', 'eth0')
  t.equal(stdout, '')
  await world.end()
})

t.test('an IPv6 address works where the container came with IPv6 switched off', async t => {
  const world = await lab()
  const host = await world.host('host')
  const place = await host.namespace('web')
  for (const where of [host, place]) {
    await where.run(
      'sh',
      '-c',
      'for d in all default lo; do echo 1 >/proc/sys/net/ipv6/conf/$d/disable_ipv6; done',
    )
  }
  await connectOn(host, place, web(['fd01::2/64']))
  host.listen('tcp', 7)
  t.match(await place.ask('tcp', 'fd01::1', 7), { place: 'host' })
  await world.end()
})

t.test('a router advertisement from a container changes neither the host nor its neighbours', async t => {
  for (const protectedHost of [true, false]) {
    const world = await lab()
    const host = await world.host('host')
    const [attacker, victim] = [await host.namespace('web'), await host.namespace('db')]
    await connectOn(host, attacker, web(['10.1.0.2/24', 'fd01::2/64']))
    await connectOn(host, victim, db(['10.1.0.3/24', 'fd01::3/64']))
    const rogue = async (place: typeof host | typeof victim) =>
      (await place.run('sh', '-c', 'ip -6 route show default; ip -6 address')).stdout.match(
        /via fe80::|2001:db8:bad:/g,
      )
    if (!protectedHost) {
      // The control: without the settings the same packet does its work.
      await host.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/cni0/accept_ra')
      await victim.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra')
    }
    const before = kernelState(host)
    advertiseRouter(attacker, 'eth0', '2001:db8:bad::')
    if (protectedHost) {
      // Another packet on the same way has arrived after it.
      victim.listen('tcp', 7)
      t.match(await attacker.ask('tcp', 'fd01::3', 7), { place: 'db' })
      t.same(
        changesSince(host, before).filter(line => !line.startsWith('neighbour')),
        [],
      )
    } else {
      await waitFor(() => rogue(host), { what: 'the host to believe it' })
      await waitFor(() => rogue(victim), { what: 'the neighbour to believe it' })
    }
    await world.end()
  }
})

t.test('with enabledad an address that somebody has is refused by name, and nothing is left', async t => {
  const world = await lab()
  const host = await world.host('host')
  const [first, second] = [await host.namespace('web'), await host.namespace('db')]
  await connectOn(host, first, web(['10.1.0.2/24', 'fd01::2/64'], { enabledad: true, hairpinMode: true }))
  const { stdout } = await first.run('ip', '-6', 'address', 'show', 'dev', 'eth0')
  t.notMatch(stdout, /tentative|dadfailed/, 'attached when all addresses can be used')
  const before = kernelState(host)
  await t.rejects(connectOn(host, second, db(['10.1.0.3/24', 'fd01::2/64'], { enabledad: true })), {
    code: 'conflict',
    message: /address fd01::2 is in use/,
  })
  t.same(await lastingChangesSince(host, before), [])
  await world.end()
})

t.test('without enabledad nobody waits for duplicate address detection', async t => {
  const world = await lab()
  const host = await world.host('host')
  const place = await host.namespace('web')
  await connectOn(host, place, web(['fd01::2/64']))
  const { stdout } = await place.run('ip', '-6', 'address', 'show', 'dev', 'eth0')
  t.match(stdout, /fd01::2\/64 scope global nodad/)
  t.notMatch(stdout, /tentative/)
  await world.end()
})
