import t from 'tap'
import { callPlugin, configuration } from '../../support/cni-call.ts'

const called = (calledAs: string, type: unknown) => callPlugin({ calledAs, stdin: configuration({ type }) })

t.test('called as tsnet we are the all-in-one plugin', async t => {
  for (const type of ['tsnet', 'front-tsnet', undefined]) t.equal((await called('tsnet', type)).exitCode, 0)
})

t.test('called by another name, the type decides', async t => {
  t.equal((await called('tsnet-0.1', 'tsnet')).exitCode, 0)
  t.match((await called('macvlan', 'macvlan')).json, {
    code: 2,
    msg: 'type: "macvlan" is no plugin of this executable, nor is "macvlan"',
    details: /^it plays: .*host-local.*tsnet/,
  })
  t.match((await called('toString', 'constructor')).json, { code: 2 })
  t.match((await called('', undefined)).json, { code: 2, msg: /^type is no plugin/ })
})
