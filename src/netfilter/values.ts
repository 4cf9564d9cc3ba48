/** Values that stand in many places of nf_tables: numbers with names, data and verdicts, families. */

import { attributes, nested } from '../netlink/attributes.ts'
import { be16, be32, binary, type Codec, struct, u8, writing, zstr } from '../netlink/codecs.ts'

/**
 * Numbers by their names. A number without a name reads as `#17`, and cannot be written.
 * @param base how the number travels
 */
export function named<const Names extends Record<string, number>>(
  base: Codec<number>,
  names: Names,
): Codec<keyof Names | `#${number}`> {
  const byNumber = new Map(Object.entries(names).map(([name, number]) => [number, name]))
  return writing({
    write(to, name) {
      const number = names[name]
      if (number === undefined) throw new RangeError(`${String(name)} is not one of ${Object.keys(names)}`)
      base.write(to, number)
    },
    decode(bytes) {
      const number = base.decode(bytes)
      return byNumber.get(number) ?? `#${number}`
    },
  })
}

/** enum nft_verdicts and the verdicts of netfilter.h. */
export const verdictCode = named(be32, {
  drop: 0,
  accept: 1,
  queue: 3,
  continue: 0xffffffff,
  break: 0xfffffffe,
  jump: 0xfffffffd,
  goto: 0xfffffffc,
  return: 0xfffffffb,
})

/** enum nft_data_attributes: bytes as registers hold them, or a verdict. */
export const data = nested(
  attributes({
    value: [1, binary],
    verdict: [2, nested(attributes({ code: [1, verdictCode], chain: [2, zstr] }))],
  }),
)

/** Families of tables, as nft calls them. Source: linux/netfilter.h, NFPROTO_*. */
export const tableFamily = named(u8, { any: 0, inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 })

export type TableFamily = 'inet' | 'ip' | 'arp' | 'netdev' | 'bridge' | 'ip6'

/** struct nfgenmsg. The resource is the number of the subsystem for a batch, else of no meaning here. */
export const nfgenmsg = struct(4, { family: [0, tableFamily], version: [1, u8], resource: [2, be16] })
