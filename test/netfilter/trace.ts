/** What the kernel tells of packets, out of bytes as it sends them. */

import t from 'tap'
import { NFT_MSG_TRACE } from '../../src/netfilter/constants.ts'
import { readTrace, traceMessage } from '../../src/netfilter/trace.ts'

const told = (attributes: Parameters<typeof traceMessage.encode>[0]['attributes']) => ({
  type: NFT_MSG_TRACE,
  payload: traceMessage.encode({ header: { family: 'ip' }, attributes }),
})

t.test('a rule, a policy and the end of a chain are told apart', async t => {
  const rule = told({
    table: 'filter',
    chain: 'FORWARD',
    handle: 7n,
    type: 'rule',
    verdict: { code: 'jump', chain: 'DOCKER-USER' },
    id: 0xfeed,
    network: Uint8Array.of(0x45, 0, 0, 60),
    input: 3,
    output: 4,
  })
  t.strictSame(readTrace(rule), {
    id: 0xfeed,
    family: 'ip',
    table: 'filter',
    chain: 'FORWARD',
    type: 'rule',
    verdict: 'jump',
    handle: 7n,
    to: 'DOCKER-USER',
    network: Uint8Array.of(0x45, 0, 0, 60),
    input: 3,
    output: 4,
  })
  const policy = told({ table: 'filter', chain: 'FORWARD', type: 'policy', policy: 'drop', id: 1 })
  t.match(readTrace(policy), { type: 'policy', verdict: 'drop' })
  const end = told({
    table: 'filter',
    chain: 'DOCKER-USER',
    type: 'return',
    verdict: { code: 'continue' },
    id: 1,
  })
  t.match(readTrace(end), { type: 'return', verdict: 'continue' })
})

t.test('what is no trace, or no whole one, is nothing', async t => {
  t.equal(readTrace({ type: 1, payload: new Uint8Array(0) }), undefined)
  t.equal(readTrace(told({ table: 'filter' })), undefined)
  t.equal(readTrace(told({ table: 'f', chain: 'c', id: 1, type: 'unspecified' })), undefined)
})
