/**
 * Addresses as text and as bytes.
 *
 * Written by hand for the sake of a process that lives 60 ms: the regular expressions by which Node and
 * ip-num read an IPv6 address take 6 and 10 ms to compile, and Node's net module 4 ms to load.
 */

/**
 * The 4 or 16 bytes of an address; undefined for anything that is no address. Strict: four parts, no leading
 * zeros, no zone.
 */
export function readAddress(text: string): Uint8Array | undefined {
  if (!text.includes(':')) return readV4(text)
  const bytes = readV6(text)
  return bytes === undefined ? undefined : Uint8Array.from(bytes)
}

/**
 * The bits of an address that readAddress would read, without reading it: 32, 128, or 0 for what is none. For the many
 * that are only looked at.
 */
export function bitsOfText(text: string, end = text.length): 0 | 32 | 128 {
  const colon = text.indexOf(':')
  if (colon >= 0 && colon < end) return isV6(text, end) ? 128 : 0
  return isV4(text, 0, end) ? 32 : 0
}

const DOT = 0x2e
const COLON = 0x3a
const ZERO = 0x30

function isV4(text: string, begin: number, end: number): boolean {
  let octets = 1
  let value = 0
  let digits = 0
  for (let at = begin; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code === DOT) {
      if (digits === 0 || ++octets > 4) return false
      value = digits = 0
      continue
    }
    const digit = code - ZERO
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return false
    value = value * 10 + digit
    if (value > 255) return false
    digits++
  }
  return octets === 4 && digits > 0
}

function isV6(text: string, end: number): boolean {
  let groups = 0
  let digits = 0
  let begin = 0
  let hasGap = false
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code === COLON) {
      const isGap = at + 1 < end && text.charCodeAt(at + 1) === COLON
      if (digits === 0 && !isGap) return false
      if (digits > 0) groups++
      if (isGap) {
        if (hasGap) return false
        hasGap = true
        at++
      } else if (at + 1 === end) return false
      digits = 0
      begin = at + 1
    } else if (code === DOT) {
      if (!isV4(text, begin, end)) return false
      groups += 2
      digits = 0
      return hasGap ? groups < 8 : groups === 8
    } else if (digitOf(code) < 0 || ++digits > 4) return false
  }
  if (digits > 0) groups++
  return hasGap ? groups < 8 : groups === 8
}

/** The address as `inet_ntop(3)` prints it. @param bytes 4 or 16 */
export function printAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0))
  const { start, length } = longestZeros(groups)
  // ::ffff:192.0.2.1, and the deprecated ::192.0.2.1
  const embedsV4 = start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff))
  const hex = groups.map(group => group.toString(16))
  const last = embedsV4 ? [...hex.slice(0, 6), bytes.subarray(12).join('.')] : hex
  if (length < 2) return last.join(':')
  return `${last.slice(0, start).join(':')}::${last.slice(start + length).join(':')}`
}

/** The first of the longest runs of zeros. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  return best
}

/** Of each address of each answer to a name, among others: so letter by letter, as isV4. */
function readV4(text: string): Uint8Array | undefined {
  if (!isV4(text, 0, text.length)) return undefined
  const bytes = new Uint8Array(4)
  for (let at = 0, octet = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === DOT) octet++
    else bytes[octet] = (bytes[octet] ?? 0) * 10 + code - ZERO
  }
  return bytes
}

function readV6(text: string): number[] | undefined {
  const [head = '', tail, more] = text.split('::')
  if (more !== undefined) return undefined
  if (tail === undefined) return readGroups(head, true, 16)
  const before = readGroups(head, false)
  const after = readGroups(tail, true)
  if (before === undefined || after === undefined) return undefined
  const zeros = 16 - before.length - after.length
  // `::` stands for at least one group.
  return zeros < 2 ? undefined : [...before, ...Array<number>(zeros).fill(0), ...after]
}

/** @param withV4 the last four bytes may be written as an IPv4 address */
function readGroups(text: string, withV4: boolean, length?: number): number[] | undefined {
  const parts = text === '' ? [] : text.split(':')
  const bytes = parts.map((part, index) => {
    if (withV4 && index === parts.length - 1 && part.includes('.')) {
      const octets = readV4(part)
      return octets && [...octets]
    }
    const group = readGroup(part)
    return group === undefined ? undefined : [group >> 8, group & 0xff]
  })
  const all = complete(bytes)?.flat()
  return length === undefined || all?.length === length ? all : undefined
}

/** Up to four digits. */
function readGroup(text: string): number | undefined {
  if (text.length === 0 || text.length > 4) return undefined
  let value = 0
  for (let at = 0; at < text.length; at++) {
    const digit = digitOf(text.charCodeAt(at))
    if (digit < 0) return undefined
    value = value * 16 + digit
  }
  return value
}

/** -1 for what is no hexadecimal digit. */
function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** The list, unless something is missing in it. */
const complete = <T>(list: (T | undefined)[]): T[] | undefined =>
  list.every(item => item !== undefined) ? list : undefined
