/** Whichever step fails, everything is as it was before; and the commands of a plan do what connect does. */

import t, { type Test } from 'tap'
import { lab } from 'tsnet/lab'
import { CONTAINER, describePlan } from '../../src/bridge/describe.ts'
import { planLink } from '../../src/bridge/plan/plan.ts'
import { connectOn, disconnectOn, releaseOn } from '../support/connect.ts'
import { kernelState, lastingChangesSince } from '../support/kernel-state.ts'
import { fixedMacs, linkRequest, OWNER } from '../support/link-plan.ts'

const leases = ['10.1.0.2/16', 'fd01::2/64']
const full = { isDefaultGateway: true, hairpinMode: true, portIsolation: true, forceAddress: true }

/** Runs a connect that fails at its nth step, for every n, until one succeeds. */
async function failEverywhere(
  t: Test,
  attempt: (trace: (equivalent: string) => void) => Promise<unknown>,
  check: (step: string) => Promise<unknown>,
): Promise<string[]> {
  const steps: string[] = []
  for (let failing = 1; ; failing++) {
    let count = 0
    let step = ''
    try {
      await attempt(equivalent => {
        if (++count !== failing) return
        step = equivalent
        throw new Error('injected')
      })
      return steps
    } catch (thrown) {
      t.match(thrown, { message: 'injected' }, `only the injected failure at ${step}`)
      steps.push(step)
      await check(step)
    }
  }
}

t.test('a bridge of our own: a failure at any step leaves nothing', async t => {
  const world = await lab()
  const host = await world.host('host')
  const web = await host.namespace('web')
  const before = kernelState(host)
  const steps = await failEverywhere(
    t,
    trace => connectOn(host, web, linkRequest(full, { leases }), { trace }),
    async step => t.same(await lastingChangesSince(host, before), [], step),
  )
  t.ok(steps.length > 15, `${steps.length} steps`)
  await world.end()
})

t.test('a bridge of somebody else: a failure at any step gives back what it had', async t => {
  const world = await lab()
  const host = await world.host('host')
  const web = await host.namespace('web')
  await host.run(
    'sh',
    '-c',
    [
      'ip link add cni0 address 02:00:00:00:00:99 type bridge',
      'ip address add 10.1.0.9/24 broadcast + dev cni0',
      'ip address add fd01::9/64 dev cni0 nodad',
      'ip -n web link set lo up',
      'nsenter --net=/run/netns/web sysctl -qw net.ipv6.conf.lo.disable_ipv6=1',
    ].join(' && '),
  )
  const before = kernelState(host)
  const options = { ...full, hairpinMode: false, promiscMode: true }
  const steps = await failEverywhere(
    t,
    trace => connectOn(host, web, linkRequest(options, { leases }), { trace }),
    async step => t.same(await lastingChangesSince(host, before), [], step),
  )
  t.ok(
    steps.some(step => step.startsWith('ip address delete 10.1.0.9/24')),
    'forceAddress took an address',
  )
  await world.end()
})

t.test('the commands of a plan, typed by hand, make the same link', async t => {
  for (const [name, request] of Object.entries({
    'dual stack': linkRequest(full, { leases, uplinkMtu: 1400 }),
    'layer 2': linkRequest({ promiscMode: true }, {}),
    'one address': linkRequest({ isGateway: true }, { leases: ['10.1.0.2/32 via 169.254.1.1'] }),
    'names that are words of ip': linkRequest({ ...full, name: 'br' }, { leases, ifname: 'up' }),
  })) {
    const world = await lab()
    const host = await world.host('host')
    const web = await host.namespace('web')
    const nothing = kernelState(host)
    const plan = planLink(request, fixedMacs)
    const script = describePlan(plan).join('\n').replaceAll(CONTAINER, 'web')
    await host.run('sh', '-ec', script)
    const byHand = kernelState(host)
    await disconnectOn(host, OWNER)
    t.equal(await releaseOn(host, plan.bridge.name), true)
    t.same(await lastingChangesSince(host, nothing, /lo\/disable_ipv6/), [])
    await connectOn(host, web, request, { macs: fixedMacs })
    t.same(await lastingChangesSince(host, byHand), [], name)
    await world.end()
  }
})
