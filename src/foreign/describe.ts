/** Rules as those who wrote them know them: in nft's words, or in iptables'. */

import { ipFromBytes } from '../model/address/address.ts'
import { IFNAMSIZ } from './packet.ts'
import type { ChainName, Part, Range, Rule, Source, Test, Verdict } from './rule.ts'
import type { Place } from './walk.ts'

/** `iptables, table filter, chain FORWARD, rule 3: "! -i docker0 -o docker0 -j DROP"`. */
export function describePlace({ rule, ...name }: Place): string {
  const number = rule === undefined ? '' : `, rule ${rule.number}`
  const text = rule === undefined ? policyText(name) : ruleText(rule, name)
  return `${tableText(name)}, chain ${name.chain}${number}: "${text}"`
}

const isIptables = ({ dialect }: ChainName): boolean => dialect !== 'nft'

function tableText({ dialect, family, table }: ChainName): string {
  if (dialect === 'nft') return `nft table ${family} ${table}`
  const command = family === 'ip6' ? 'ip6tables' : 'iptables'
  return `${command}${dialect === 'legacy' ? '-legacy' : ''} table ${table}`
}

const policyText = (name: ChainName): string => (isIptables(name) ? 'policy DROP' : 'policy drop')

/** A rule without the words that add it. */
export function ruleText({ tests, verdict, comment }: Rule, name: ChainName): string {
  const words = isIptables(name) ? inOrder(tests).map(iptablesTest) : tests.map(nftTest)
  const end = isIptables(name) ? iptablesVerdict(verdict) : nftVerdict(verdict)
  const note =
    comment === undefined ? '' : isIptables(name) ? `--comment '${comment}'` : `comment '${comment}'`
  return [...words, ...(isIptables(name) ? [note, end] : [end, note])].filter(word => word !== '').join(' ')
}

/** As iptables prints them, whatever order it gave them in nf_tables: addresses, interfaces, protocol, the rest. */
function inOrder(tests: readonly Test[]): Test[] {
  const placeOf = (test: Test): number => {
    const place =
      test.kind === 'among' ? FIRST.indexOf(fieldsOf(test.key)[0]?.replace('ip6', 'ip') ?? '') : -1
    return place < 0 ? FIRST.length : place
  }
  return tests.toSorted((a, b) => placeOf(a) - placeOf(b))
}

const FIRST = ['ip saddr', 'ip daddr', 'iifname', 'oifname', 'meta l4proto']

const iptablesVerdict = (verdict: Verdict): string =>
  verdict.kind === 'drop'
    ? `-j ${verdict.text.replace(/^(drop|reject)$/, word => word.toUpperCase())}`
    : verdict.kind === 'jump' || verdict.kind === 'goto'
      ? `-${verdict.kind === 'jump' ? 'j' : 'g'} ${verdict.chain}`
      : `-j ${verdict.kind.toUpperCase()}`

const nftVerdict = (verdict: Verdict): string =>
  verdict.kind === 'drop'
    ? verdict.text
    : verdict.kind === 'jump' || verdict.kind === 'goto'
      ? `${verdict.kind} ${verdict.chain}`
      : verdict.kind === 'map'
        ? `${keyText(verdict.key)} vmap ${setText(verdict.set)}`
        : verdict.kind

function iptablesTest(test: Test): string {
  if (test.kind === 'any') return anyText(test, iptablesTest)
  if (test.kind !== 'among') return nftTest(test)
  const { field, values, not } = amongText(test)
  const option = OPTIONS[field]
  return option === undefined ? nftTest(test) : `${not ? '! ' : ''}${option} ${values.join(',')}`
}

const anyText = ({ of, not }: Test & { kind: 'any' }, tell: (test: Test) => string): string =>
  `${not ? '! ' : ''}${of.map(tell).join(' or ')}`

/** That certain bits are not zero is told as the bits that may be set. */
function amongText({ key, values, not }: Test & { kind: 'among' }) {
  const [part] = key
  const [range] = values
  const field = fieldsOf(key).join(' . ')
  const isZero = range !== undefined && values.length === 1 && range.to.every(byte => byte === 0)
  if (
    part !== undefined &&
    'source' in part &&
    part.mask !== undefined &&
    isZero &&
    field.startsWith('ct ')
  ) {
    return { field, values: [oneText(part.mask, field, undefined)], not: !not }
  }
  return { field, values: values.map(each => rangeText(each, key)), not }
}

const OPTIONS: Record<string, string> = {
  iifname: '-i',
  oifname: '-o',
  'ip saddr': '-s',
  'ip daddr': '-d',
  'ip6 saddr': '-s',
  'ip6 daddr': '-d',
  'meta l4proto': '-p',
  'th sport': '--sport',
  'th dport': '--dport',
  'ct state': '-m conntrack --ctstate',
  'ct status': '-m conntrack --ctstatus',
  'ct direction': '-m conntrack --ctdir',
  'ct original proto-dst': '-m conntrack --ctorigdstport',
  'ct original daddr': '-m conntrack --ctorigdst',
  'meta mark': '-m mark --mark',
}

function nftTest(test: Test): string {
  switch (test.kind) {
    case 'among': {
      const { field, values, not } = amongText(test)
      const list = values.length === 1 ? values.join() : `{ ${values.join(', ')} }`
      return `${field} ${not ? '!= ' : ''}${list}`
    }
    case 'lookup':
      return `${keyText(test.key)} ${test.not ? '!= ' : ''}${setText(test.set)}`
    case 'order':
      return `${keyText(test.key)} ${test.operator} 0x${hex(test.value)}`
    case 'any':
      return anyText(test, nftTest)
    default:
      return test.text
  }
}

const setText = (name: string): string => (name.startsWith('__') ? '{ … }' : `@${name}`)

const keyText = (key: readonly Part[]): string => fieldsOf(key).join(' . ')

const fieldsOf = (key: readonly Part[]): string[] =>
  key.flatMap(part => ('source' in part ? [fieldText(part)] : []))

function fieldText({ source: { of, offset, length } }: Part & { source: Source }): string {
  if (of === 'network') {
    const field = NETWORK.find(each => each.offset === offset && length <= each.length && length > each.over)
    return field?.text ?? `@nh,${offset * 8},${length * 8}`
  }
  if (of === 'transport') {
    return length === 2 && offset < 4
      ? `th ${offset === 0 ? 's' : 'd'}port`
      : `@th,${offset * 8},${length * 8}`
  }
  if (of === 'link') {
    const field = LINK.find(each => each.offset === offset && each.length === length)
    return field?.text ?? `@ll,${offset * 8},${length * 8}`
  }
  return of.replace(/^meta ([io]if)/, '$1')
}

const LINK = [
  { offset: 0, length: 6, text: 'ether daddr' },
  { offset: 6, length: 6, text: 'ether saddr' },
  { offset: 12, length: 2, text: 'ether type' },
]

const NETWORK = [
  { offset: 12, length: 4, over: 0, text: 'ip saddr' },
  { offset: 16, length: 4, over: 0, text: 'ip daddr' },
  { offset: 9, length: 1, over: 0, text: 'ip protocol' },
  { offset: 8, length: 16, over: 1, text: 'ip6 saddr' },
  { offset: 24, length: 16, over: 1, text: 'ip6 daddr' },
]

function rangeText({ from, to }: Range, key: readonly Part[]): string {
  const first = valueText(from, key)
  const last = valueText(to, key)
  return first === last ? first : `${first}-${last}`
}

/** The values of a key, one after the other. */
function valueText(bytes: Uint8Array, key: readonly Part[]): string {
  let at = 0
  const texts: string[] = []
  for (const part of key) {
    const length = 'bytes' in part ? part.bytes.length : part.source.length
    const value = bytes.subarray(at, at + length)
    at += length
    if ('source' in part) texts.push(oneText(value, fieldText(part), part.mask))
  }
  return texts.join(' . ')
}

const PROTOCOLS: Record<number, string> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6', 132: 'sctp' }
const ETHERTYPES: Record<string, string> = { '0800': 'ip', '86dd': 'ip6', '0806': 'arp', '8100': 'vlan' }
const STATES = ['invalid', 'established', 'related', 'new', '', '', 'untracked']
const STATUS = ['expected', 'seen-reply', 'assured', 'confirmed', 'snat', 'dnat']

function oneText(value: Uint8Array, field: string, mask: Uint8Array | undefined): string {
  if (/^([io]ifname|meta [io]brname)$/.test(field)) return nameText(value, mask)
  if (/ [sd]addr$/.test(field)) return addressText(value, field.startsWith('ip6') ? 16 : 4, mask)
  if (/ ([sd]port|proto-(src|dst))$/.test(field)) return String(((value[0] ?? 0) << 8) | (value[1] ?? 0))
  if (/^ether [sd]addr$/.test(field)) return hex(value).replace(/..(?!$)/g, '$&:')
  if (/^(ether type|meta protocol)$/.test(field)) return ETHERTYPES[hex(value)] ?? `0x${hex(value)}`
  if (/l4proto$|protocol$/.test(field)) return PROTOCOLS[value[0] ?? 0] ?? String(value[0])
  if (field === 'ct direction') return value[0] === 0 ? 'ORIGINAL' : 'REPLY'
  if (field === 'ct state') return bitNames(numberOf(value), STATES)
  if (field === 'ct status') return bitNames(numberOf(value), STATUS)
  const number = `0x${numberOf(value).toString(16)}`
  return mask === undefined || mask.every(byte => byte === 0xff)
    ? number
    : `${number}/0x${numberOf(mask).toString(16)}`
}

function nameText(value: Uint8Array, mask: Uint8Array | undefined): string {
  const compared = mask === undefined ? value.length : mask.findLastIndex(byte => byte !== 0) + 1
  const end = value.indexOf(0)
  const text = Buffer.from(value.subarray(0, end < 0 ? compared : end)).toString()
  return end >= 0 && end < compared ? text : compared >= IFNAMSIZ ? text : `${text}+`
}

function addressText(value: Uint8Array, length: number, mask: Uint8Array | undefined): string {
  const whole = new Uint8Array(length)
  whole.set(value)
  const bits = mask === undefined ? value.length * 8 : ones(mask)
  return `${ipFromBytes(whole)}${bits === length * 8 ? '' : `/${bits}`}`
}

const ones = (mask: Uint8Array): number =>
  [...mask].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)

const numberOf = (value: Uint8Array): number => value.reduceRight((sum, byte) => sum * 256 + byte, 0)

const bitNames = (bits: number, names: readonly string[]): string =>
  names.filter((name, i) => name !== '' && (bits & (1 << i)) !== 0).join(',') || `0x${bits.toString(16)}`

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
