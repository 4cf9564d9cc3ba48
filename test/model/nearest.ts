import t from 'tap'
import { didYouMean, nearest } from '../../src/model/nearest.ts'

t.test('the nearest word is found, whatever its case, and nothing that is far', async t => {
  const keys = ['isGateway', 'isDefaultGateway', 'ipMasq', 'mtu']
  t.equal(nearest('isDefaultGatway', keys), 'isDefaultGateway')
  t.equal(nearest('IPMASK', keys), 'ipMasq')
  t.equal(nearest('mut', keys), undefined, 'two letters of three are wrong')
  t.equal(nearest('bandwidth', keys), undefined)
  t.equal(nearest('mtu', []), undefined)
  t.equal(didYouMean('ipMask', keys), '; did you mean "ipMasq"?')
  t.equal(didYouMean('bandwidth', keys), '')
})
