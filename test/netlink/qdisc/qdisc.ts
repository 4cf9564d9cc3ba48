import t from 'tap'
import * as k from '../../../src/netlink/constants.ts'
import { Netlink } from '../../../src/netlink/netlink.ts'
import {
  addRedirect,
  deleteFilter,
  listIngressFilters,
  readFilter,
} from '../../../src/netlink/qdisc/filter.ts'
import {
  addIngress,
  addTokenBucket,
  burstAsListed,
  deleteQdisc,
  listQdiscs,
  readQdisc,
} from '../../../src/netlink/qdisc/qdisc.ts'
import { filterMessage, qdiscMessage } from '../../../src/netlink/qdisc/tables.ts'
import { asked } from '../../support/asked.ts'
import { captured } from '../../support/captures.ts'
import { done, part, ScriptedKernel } from '../../support/scripted-kernel.ts'

const link = { index: 7, name: 'web' }

t.test('a token bucket of more than 32 bits is read as the kernel sent it', async t => {
  t.strictSame(readQdisc(captured('qdisc-tbf')), {
    index: 4,
    kind: 'tbf',
    handle: 0x10000,
    parent: 0xffffffff,
    // The 2 000 000 bytes that were asked for, less what the clock of 64 ns cannot tell.
    tbf: { rate: 5_000_000_000, burst: 1_999_680, limit: 200_000_000 },
  })
})

t.test('a token bucket is asked for with the burst in bytes and in ticks', async t => {
  const { flags, payload, command } = asked(nl =>
    addTokenBucket(nl, link, { rate: 125_000, burst: 20_000, limit: 23_125 }),
  )
  t.equal(flags, k.NLM_F_REQUEST | k.NLM_F_ACK | k.NLM_F_CREATE | k.NLM_F_EXCL)
  t.match(qdiscMessage.decode(payload), {
    header: { index: 7, handle: 0x10000, parent: 0xffffffff },
    attributes: {
      kind: 'tbf',
      tbf: {
        // 20 000 bytes take 160 ms, which are 2 500 000 ticks of 64 ns.
        parameters: { rate: { rate: 125_000, linkLayer: 1 }, limit: 23_125, buffer: 2_500_000 },
        rate64: undefined,
        burst: 20_000,
      },
    },
  })
  t.equal(command, 'tc qdisc add dev web root handle 1: tbf rate 1000000bit burst 20000 limit 23125')
})

t.test('a rate beyond 32 bits goes into the attribute for it', async t => {
  const { payload } = asked(nl => addTokenBucket(nl, link, { rate: 5e9, burst: 2e6, limit: 2e8 }))
  t.match(qdiscMessage.decode(payload).attributes.tbf, {
    parameters: { rate: { rate: 0xffffffff } },
    rate64: 5_000_000_000n,
  })
})

t.test('a bucket of more ticks than the kernel reports is recognised all the same', async t => {
  t.equal(burstAsListed({ rate: 125_000, burst: 20_000, limit: 0 }), 20_000)
  // At 1000 bytes a second 4 GB are 6.25e13 ticks, of which a dump shows the lower 32 bits.
  t.equal(burstAsListed({ rate: 1000, burst: 4e9, limit: 0 }), Math.round(((6.25e13 % 2 ** 32) * 64) / 1e6))
})

t.test('qdiscs are listed by link, though the kernel lists all', async t => {
  const kernel = new ScriptedKernel(request => [
    part(request, captured('qdisc-tbf').payload),
    part(request, qdiscMessage.encode({ header: { index: 7 }, attributes: { kind: 'noqueue' } })),
    done(request),
  ])
  t.strictSame(listQdiscs(new Netlink(kernel), { link }), [
    { index: 7, kind: 'noqueue', handle: 0, parent: 0 },
  ])
})

t.test('what a link receives is redirected by one filter that matches everything', async t => {
  const { payload, command } = asked(nl => addRedirect(nl, link, { index: 9, name: 'ifb' }))
  t.match(filterMessage.decode(payload), {
    // Priority 1, and ETH_P_ALL in network byte order.
    header: { index: 7, parent: 0xffff0000, info: 0x10300 },
    attributes: {
      kind: 'u32',
      u32: {
        selector: { flags: k.TC_U32_TERMINAL, keys: 1, mask: 0, value: 0 },
        actions: {
          first: { kind: 'mirred', mirred: { parameters: { action: 4, direction: 1, device: 9 } } },
        },
      },
    },
  })
  t.equal(
    command,
    'tc filter add dev web parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ifb',
  )
})

t.test('a redirect is read as the kernel sent it', async t => {
  t.strictSame(readFilter(captured('filter-redirect')), {
    kind: 'u32',
    handle: 0x80000800,
    priority: 1,
    redirectIndex: 3,
  })
  const kernel = new ScriptedKernel(request => [
    part(request, captured('filter-redirect').payload),
    done(request),
  ])
  t.match(listIngressFilters(new Netlink(kernel), link), [{ redirectIndex: 3 }])
})

t.test('at a hook of the other kind a filter hangs on one side, and one filter goes alone', async t => {
  const beside = { hook: 'clsact', priority: 50_000 } as const
  const added = asked(nl => addRedirect(nl, link, { index: 9, name: 'ifb' }, beside))
  const place = { index: 7, parent: 0xfffffff2, info: 0xc350_0300 }
  t.match(filterMessage.decode(added.payload), { header: place })
  t.match(added.command, /^tc filter add dev web ingress protocol all prio 50000 u32 /)
  const filter = { kind: 'u32', handle: 0x80000800, priority: 50_000 }
  const deleted = asked(nl => deleteFilter(nl, link, 'clsact', filter))
  t.match(filterMessage.decode(deleted.payload), { header: { ...place, handle: 0x80000800 } })
  t.equal(deleted.command, 'tc filter delete dev web ingress protocol all prio 50000 handle 0x80000800 u32')
})

t.test('the ingress hook is opened, and qdiscs are taken away by where they are', async t => {
  const opened = asked(nl => addIngress(nl, link))
  t.match(qdiscMessage.decode(opened.payload), {
    header: { handle: 0xffff0000, parent: 0xfffffff1 },
    attributes: { kind: 'ingress' },
  })
  const deleted = (where: 'root' | 'ingress') => asked(nl => deleteQdisc(nl, link, where))
  t.equal(qdiscMessage.decode(deleted('root').payload).header.parent, 0xffffffff)
  t.equal(qdiscMessage.decode(deleted('ingress').payload).header.parent, 0xfffffff1)
  t.equal(deleted('root').command, 'tc qdisc delete dev web root')
})
