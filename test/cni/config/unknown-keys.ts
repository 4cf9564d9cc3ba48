/** Keys that mean nothing are named on stderr, and change nothing. */

import t from 'tap'
import { findSurroundings } from '../../../src/model/surroundings.ts'
import { callPlugin, configuration, type PluginCall } from '../../support/cni-call.ts'

const said: string[] = []
findSurroundings(() => ({ env: {}, complain: text => void said.push(text) }))

/** What a call says on stderr, by line. */
async function complaints(call: PluginCall): Promise<string[]> {
  said.length = 0
  await callPlugin(call)
  return said
    .join('')
    .split('\n')
    .filter(line => line !== '')
    .map(line => line.replace('tsnet: network front: ', ''))
}

const add = (more: object) => complaints({ stdin: configuration(more) })

t.test('a configuration whose keys are all known says nothing', async t => {
  const ipam = { type: 'host-local', ranges: [[{ subnet: '10.1.0.0/16', rangeStart: '10.1.0.9' }]] }
  const known = { isGateway: true, ISDEFAULTGATEWAY: true, capabilities: { portMappings: true }, ipam }
  t.strictSame(await add(known), [])
})

t.test('a key with a typing error is named with the one that was meant, where it stands', async t => {
  const range = { subnet: '10.1.0.0/16', rangeStrat: '10.1.0.9' }
  t.strictSame(
    await add({
      isDefaultGatway: true,
      capabilities: { portMapings: true },
      runtimeConfig: { portMapings: [] },
      ipam: { type: 'host-local', ranges: [[range]], routs: [] },
      colour: 'green',
    }),
    [
      'isDefaultGatway is no key of a "tsnet" plugin; did you mean "isDefaultGateway"?',
      'colour is no key of a "tsnet" plugin',
      'ipam.routs is no key of ipam; did you mean "routes"?',
      'ipam.ranges[0][0].rangeStrat is no key of ipam.ranges[0][0]; did you mean "rangeStart"?',
      'capabilities.portMapings is no capability; did you mean "portMappings"?',
      'runtimeConfig.portMapings is no capability; did you mean "portMappings"?',
    ],
  )
})

t.test('what is somebody else’s to know is left in peace', async t => {
  const result = { cniVersion: '1.1.0', interfaces: [{ name: 'a', vendorKey: 1 }], ips: [] }
  const more = {
    _comment: 'mine',
    'example.org/note': 1,
    args: { podman_labels: {} },
    prevResult: result,
    runtimeConfig: { 'io.kubernetes.cri.pod-annotations': {} },
    ipam: { type: 'dhcp', daemonSocketPath: '/run/x' },
  }
  t.strictSame(await add(more), [])
})

t.test('where a configuration is refused, the typing errors that may be the cause are named', async t => {
  const ipam = { type: 'host-local', rangs: [[{ subnet: '10.1.0.0/16' }]] }
  t.strictSame(await add({ ipam, colour: 'green' }), ['ipam.rangs is no key of ipam; did you mean "ranges"?'])
})

t.test('only an ADD is told', async t => {
  for (const CNI_COMMAND of ['DEL', 'STATUS', 'GC'])
    t.strictSame(
      await complaints({ env: { CNI_COMMAND }, stdin: configuration({ ipMask: true }) }),
      [],
      CNI_COMMAND,
    )
})

t.test('each role knows its own keys', async t => {
  const stdin = {
    ...configuration(),
    type: 'portmap',
    snt: true,
    ipam: undefined,
    prevResult: { cniVersion: '1.1.0', ips: [] },
  }
  t.strictSame(await complaints({ calledAs: 'portmap', stdin }), [
    'snt is no key of a "portmap" plugin; did you mean "snat"?',
  ])
})

t.test('a network list in the place of one plugin’s configuration is refused, but for DEL', async t => {
  const stdin = { cniVersion: '1.1.0', name: 'front', plugins: [configuration()] }
  const { json, asked } = await callPlugin({ stdin })
  t.match(json, { code: 7, msg: /^plugins: this is a network list/, details: /tsnet attach/ })
  t.strictSame(asked, [])
  t.equal((await callPlugin({ stdin, env: { CNI_COMMAND: 'DEL' } })).exitCode, 0)
})
