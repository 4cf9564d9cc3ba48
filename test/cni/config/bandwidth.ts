import t from 'tap'
import { readBandwidth, readReferenceBandwidth } from '../../../src/cni/config/bandwidth.ts'
import { Json } from '../../../src/model/json/json.ts'

const read = (config: object) => readBandwidth(new Json(config, ''))

const limits = { ingressRate: 1e6, ingressBurst: 8000, egressRate: 2e6, egressBurst: 9000 }

t.test('limits come from the runtime, or from the configuration, which wins', async t => {
  t.same(read({ runtimeConfig: { bandwidth: limits } }), limits)
  t.same(read(limits), limits)
  const other = { ingressRate: 5, ingressBurst: 5 }
  t.same(read({ ...other, runtimeConfig: { bandwidth: limits } }), {
    ...other,
    egressRate: 0,
    egressBurst: 0,
  })
})

t.test('keys of limits are matched as go-cni writes them', async t => {
  const bandwidth = { IngressRate: 1e6, IngressBurst: 8000, EgressRate: 2e6, EgressBurst: 9000 }
  t.same(read({ runtimeConfig: { bandwidth } }), limits)
})

t.test('limits of zero are none', async t => {
  t.equal(read({}), undefined)
  t.equal(read({ ingressRate: 0, ingressBurst: 0 }), undefined)
  t.equal(read({ runtimeConfig: { bandwidth: { egressRate: 0, egressBurst: 0 } } }), undefined)
})

t.test('a limit that makes no sense is refused with its key and value', async t => {
  const bad: [object, RegExp][] = [
    [{ ingressRate: 5 }, /^ingressRate: 5 is of no use without ingressBurst/],
    [{ egressBurst: 5 }, /^egressBurst: 5 is of no use without egressRate/],
    [{ ingressRate: -1, ingressBurst: 1 }, /^ingressRate: -1/],
    [{ ingressRate: 1, ingressBurst: 0xffff_ffff * 8 }, /^ingressBurst: 34359738360/],
    [{ egressRate: 1.5, egressBurst: 1 }, /^egressRate: 1\.5/],
    [{ egressRate: '1M', egressBurst: 1 }, /^egressRate: "1M"/],
    [{ runtimeConfig: { bandwidth: { EgressRate: 5 } } }, /^runtimeConfig\.bandwidth\.EgressRate: 5/],
  ]
  for (const [config, message] of bad) t.throws(() => read(config), { code: 'invalid-config', message })
})

t.test('the drop-in has the last word where it names any of the keys, be it as 0', async t => {
  const read = (config: object) => readReferenceBandwidth(new Json(config, ''))
  const runtimeConfig = { bandwidth: { IngressRate: 8, IngressBurst: 80 } }
  t.match(read({ runtimeConfig }), { ingressRate: 8, ingressBurst: 80, egressRate: 0 })
  t.match(read({ runtimeConfig, egressRate: 9, egressBurst: 90 }), { ingressRate: 0, egressRate: 9 })
  t.equal(read({ runtimeConfig, ingressRate: 0 }), undefined)
  t.equal(read({}), undefined)
})
