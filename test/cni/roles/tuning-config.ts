import { resolve } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readDataDir, readTuning } from '../../../src/cni/roles/tuning-config.ts'
import { TsnetError } from '../../../src/model/errors.ts'
import { parseJson } from '../../../src/model/json/json.ts'

const read = (config: object, args = '') => readTuning(parseJson(JSON.stringify(config)), args)
const mac = (n: number) => `02:00:00:00:00:0${n}`

t.test('nothing is changed without a word', async t => {
  t.strictSame(read({}), { sysctls: [] })
  t.strictSame(read({ promisc: false, mtu: 0, mac: '', sysctl: {} }), { sysctls: [] })
})

t.test('every key of the reference is read, whatever the case of its letters', async t => {
  const config = {
    sysctl: { 'net.core.somaxconn': '500', 'net.ipv4.conf.IFNAME.arp_filter': '1' },
    MAC: mac(1),
    mtu: 1400,
    promisc: true,
    allMulti: false,
    txqlen: 0,
  }
  t.strictSame(read(config), {
    sysctls: [
      { key: 'net.core.somaxconn', value: '500' },
      { key: 'net.ipv4.conf.IFNAME.arp_filter', value: '1' },
    ],
    mac: mac(1),
    promiscuous: true,
    mtu: 1400,
    allmulti: false,
    txQueueLength: 0,
  })
})

t.test('args.cni has the last word, then the runtime, then CNI_ARGS, then the configuration', async t => {
  const config = { mac: mac(1) }
  const runtime = { ...config, runtimeConfig: { mac: mac(3) } }
  t.equal(read(config).mac, mac(1))
  t.equal(read(config, `IgnoreUnknown=1;MAC=${mac(2)};X=y`).mac, mac(2))
  t.equal(read(runtime, `MAC=${mac(2)}`).mac, mac(3))
  t.equal(read({ ...runtime, args: { cni: { mac: mac(4) } } }).mac, mac(4))
  const args = { cni: { mtu: 1300, promisc: false, allmulti: true, txQLen: 5, sysctl: { a: '2', c: '3' } } }
  t.strictSame(
    read({ mtu: 1400, promisc: true, allmulti: false, txQLen: 9, sysctl: { a: '1', b: '1' }, args }),
    {
      sysctls: [
        { key: 'a', value: '2' },
        { key: 'b', value: '1' },
        { key: 'c', value: '3' },
      ],
      mtu: 1300,
      allmulti: true,
      txQueueLength: 5,
    },
  )
})

t.test('what cannot be is refused by name', async t => {
  for (const [config, message] of [
    [{ mac: 'aa:bb' }, /^mac: "aa:bb" is not a MAC address/],
    [{ runtimeConfig: { mac: '01:00:00:00:00:00' } }, /^runtimeConfig\.mac: .* group address/],
    [{ mtu: -1 }, /^mtu: -1/],
    [{ txQLen: 1.5 }, /^txQLen: 1\.5/],
    [{ promisc: 'yes' }, /^promisc: "yes"/],
    [{ sysctl: { 'net.a.b': 1 } }, /^sysctl\.net\.a\.b: 1 is not a string/],
    [{ sysctl: { 'net.a.b': '' } }, /^sysctl\.net\.a\.b: "" is empty/],
    [{ sysctl: [] }, /^sysctl: \[\] is not an object/],
  ] as const) {
    t.throws(() => read(config), { code: 'invalid-config', message })
  }
  const twice = parseJson('{"sysctl":{"net.a.b":"1","net.a.b":"2"}}')
  t.throws(() => readTuning(twice, ''), { message: /duplicated sysctl keys are not allowed/ })
  t.throws(() => read({}, 'X=y'), { code: 'invalid-environment' })
})

t.test("the folder of what was before is the reference's, or a path", async t => {
  const of = (dataDir?: string) => readDataDir(parseJson(JSON.stringify({ dataDir })))
  t.equal(of(), '/run/cni/tuning')
  t.equal(of('/srv/tuning/'), '/srv/tuning')
  t.equal(of('tuning'), resolve('tuning'))
})

t.test('whatever stands there, it is read or refused with a word', async () => {
  const key = fc.constantFrom(
    'sysctl',
    'mac',
    'mtu',
    'promisc',
    'allmulti',
    'txQLen',
    'args',
    'runtimeConfig',
    'cni',
  )
  const value = fc.letrec(tie => ({
    tree: fc.oneof(fc.jsonValue(), fc.dictionary(key, tie('tree'), { maxKeys: 4 })),
  })).tree
  fc.assert(
    fc.property(fc.dictionary(key, value), config => {
      try {
        return read(config).sysctls.every(each => typeof each.value === 'string')
      } catch (thrown) {
        return thrown instanceof TsnetError
      }
    }),
    { numRuns: 1000 },
  )
})
