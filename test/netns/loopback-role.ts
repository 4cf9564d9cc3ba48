/** dist/drop-in/loopback beside Debian's loopback, in a namespace each. */

import t from 'tap'
import type { Namespace } from 'tsnet/lab'
import { lab } from 'tsnet/lab'
import { type DropInAnswer, environmentOf, folders, readAnswer, type Whose } from '../support/drop-in.ts'

const world = await lab()
t.teardown(() => world.end())
const host = await world.host('host')

async function call(
  whose: Whose,
  command: string,
  place: Namespace | string,
  config: object = {},
): Promise<DropInAnswer> {
  const netns = typeof place === 'string' ? place : place.path
  return readAnswer(
    await host.run(`${folders[whose]}/loopback`, {
      env: environmentOf(whose, { plugin: 'loopback', command, config, netns }),
      stdin: JSON.stringify({ cniVersion: '1.0.0', name: 'lo', type: 'loopback', ...config }),
      mayFail: true,
    }),
  )
}

const isUp = async (place: Namespace): Promise<boolean> =>
  (await place.run('ip', 'link', 'show', 'lo')).stdout.includes(',UP')

let count = 0
async function place(): Promise<Namespace> {
  const made = await host.namespace(`c${count++}`)
  await made.run('ip', 'link', 'set', 'lo', 'down')
  return made
}

t.test('ADD brings lo up, with the result of the reference; DEL takes it down', async t => {
  const [a, b] = [await place(), await place()]
  const expected = await call('reference', 'ADD', a)
  const found = await call('tsnet', 'ADD', b)
  t.strictSame(found, JSON.parse(JSON.stringify(expected).replaceAll(a.path, b.path)))
  t.equal(await isUp(b), true)
  t.same(await call('tsnet', 'DEL', b), { code: 0 })
  t.same(await call('tsnet', 'DEL', b), { code: 0 })
  t.equal(await isUp(b), false)
})

t.test('older versions get the shape they know; the reference gives them that of 1.0.0', async t => {
  const [a, b] = [await place(), await place()]
  for (const cniVersion of ['0.2.0', '0.3.1', '0.4.0']) {
    t.match(await call('reference', 'ADD', a, { cniVersion }), { result: { ips: [{ version: undefined }] } })
  }
  const [v4, v6] = ['127.0.0.1/8', '::1/128']
  const old = { cniVersion: '0.2.0', ip4: { ip: v4 }, ip6: { ip: v6 } }
  t.strictSame((await call('tsnet', 'ADD', b, { cniVersion: '0.2.0' })).result, old)
  const ips = [
    { version: '4', interface: 0, address: v4 },
    { version: '6', interface: 0, address: v6 },
  ]
  for (const cniVersion of ['0.3.1', '0.4.0']) {
    t.strictSame((await call('tsnet', 'ADD', b, { cniVersion })).result?.ips, ips)
  }
})

t.test('each takes down what the other brought up, and checks it', async t => {
  const [a, b] = [await place(), await place()]
  await call('reference', 'ADD', a)
  await call('tsnet', 'ADD', b)
  t.same([await call('tsnet', 'CHECK', a), await call('reference', 'CHECK', b)], [{ code: 0 }, { code: 0 }])
  await call('tsnet', 'DEL', a)
  await call('reference', 'DEL', b)
  t.same([await isUp(a), await isUp(b)], [false, false])
  t.same(await call('tsnet', 'CHECK', a), { code: 1, error: 'loopback interface is down' })
  t.same(await call('reference', 'CHECK', b), { code: 1, error: 'loopback interface is down' })
})

t.test('a prevResult is passed on as it is', async t => {
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/x' }],
    ips: [{ interface: 0, address: '10.1.2.3/24', gateway: '10.1.2.1' }],
    routes: [{ dst: '0.0.0.0/0', gw: '10.1.2.1' }],
  }
  const [a, b] = [await place(), await place()]
  const answers = [
    await call('reference', 'ADD', a, { prevResult }),
    await call('tsnet', 'ADD', b, { prevResult }),
  ]
  t.same(answers, [
    { code: 0, result: prevResult },
    { code: 0, result: prevResult },
  ])
})

t.test('DEL of a namespace that is gone succeeds, with and without its path', async t => {
  for (const path of ['/run/netns/gone', '']) t.same(await call('tsnet', 'DEL', path), { code: 0 })
})

t.test('an address on lo that is none of loopback is refused by both', async t => {
  for (const whose of ['reference', 'tsnet'] as const) {
    const odd = await place()
    await odd.run('ip', 'address', 'add', '192.0.2.7/32', 'dev', 'lo')
    const { code, error } = await call(whose, 'ADD', odd)
    t.equal(code, 1)
    t.match(error, /^loopback interface found with non-loopback address "192\.0\.2\.7"/)
  }
})

t.test("the host's own lo is left alone; the control, the reference, takes it down", async t => {
  const path = '/proc/self/ns/net'
  const lo = async () => (await host.run('ip', 'link', 'show', 'lo')).stdout.includes(',UP')
  t.equal(await lo(), true)
  t.match(await call('tsnet', 'DEL', path), { code: 1, error: /its loopback interface stays up$/ })
  t.equal(await lo(), true)
  await call('reference', 'DEL', path)
  t.equal(await lo(), false)
  await host.run('ip', 'link', 'set', 'lo', 'up')
})

t.test('GC and STATUS have nothing to do', async t => {
  for (const command of ['GC', 'STATUS']) {
    t.same(await call('tsnet', command, '', { cniVersion: '1.1.0' }), { code: 0 })
  }
})
