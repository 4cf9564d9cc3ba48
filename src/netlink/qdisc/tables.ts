/**
 * Queueing disciplines, filters and actions as bytes.
 *
 * Source: linux/rtnetlink.h (struct tcmsg, enum TCA_*), linux/pkt_sched.h (tbf), linux/pkt_cls.h (u32),
 * linux/tc_act/tc_mirred.h.
 */

import { attributes, nested, only, payload } from '../attributes.ts'
import { s32, struct, u8, u16, u32, u64, zstr } from '../codecs.ts'

const tcmsg = struct(20, {
  family: [0, u8],
  index: [4, s32],
  handle: [8, u32],
  parent: [12, u32],
  info: [16, u32],
})

/** struct tc_ratespec. */
const ratespec = struct(12, {
  cellLog: [0, u8],
  linkLayer: [1, u8],
  overhead: [2, u16],
  cellAlign: [4, u16],
  mpu: [6, u16],
  rate: [8, u32], // bytes per second; all ones: see the 64-bit attribute
})

/** enum TCA_TBF_*. */
const tbf = attributes({
  parameters: [
    1,
    struct(36, {
      rate: [0, ratespec],
      peakRate: [12, ratespec],
      limit: [24, u32], // bytes
      buffer: [28, u32], // ticks of 64 ns
      mtu: [32, u32],
    }),
  ],
  rate64: [4, u64], // bytes per second
  burst: [6, u32], // bytes; written only
})

export const qdiscMessage = payload(
  tcmsg,
  attributes({
    kind: [1, zstr],
    tbf: [2, only('kind', 'tbf', nested(tbf))],
  }),
)

/** struct tc_mirred with its tc_gen. */
const mirred = attributes({
  parameters: [
    2,
    struct(28, {
      index: [0, u32],
      capabilities: [4, u32],
      action: [8, s32], // TC_ACT_*
      references: [12, s32],
      bindings: [16, s32],
      direction: [20, s32], // TCA_EGRESS_REDIR …
      device: [24, u32],
    }),
  ],
})

const action = attributes({
  kind: [1, zstr],
  mirred: [2, only('kind', 'mirred', nested(mirred))],
})

/** struct tc_u32_sel with one struct tc_u32_key behind it. */
const selector = struct(32, {
  flags: [0, u8],
  offsetShift: [1, u8],
  keys: [2, u8],
  mask: [16, u32],
  value: [20, u32],
  offset: [24, s32],
  offsetMask: [28, s32],
})

/** enum TCA_U32_*. */
const u32Filter = attributes({
  classId: [1, u32],
  hash: [2, u32],
  link: [3, u32],
  divisor: [4, u32],
  selector: [5, selector],
  actions: [7, nested(attributes({ first: [1, nested(action)] }))],
})

export const filterMessage = payload(
  tcmsg,
  attributes({
    kind: [1, zstr],
    u32: [2, only('kind', 'u32', nested(u32Filter))],
    chain: [11, u32],
  }),
)
