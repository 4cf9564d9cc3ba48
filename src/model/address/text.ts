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
  const bytes = text.includes(':') ? readV6(text) : readV4(text)
  return bytes === undefined ? undefined : Uint8Array.from(bytes)
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

function readV4(text: string): number[] | undefined {
  const octets = text.split('.').map(part => readNumber(part, 10, 3, 255))
  return octets.length === 4 ? complete(octets) : undefined
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
    if (withV4 && index === parts.length - 1 && part.includes('.')) return readV4(part)
    const group = readNumber(part, 16, 4, 0xffff)
    return group === undefined ? undefined : [group >> 8, group & 0xff]
  })
  const all = complete(bytes)?.flat()
  return length === undefined || all?.length === length ? all : undefined
}

/** Digits alone; decimal ones without a leading zero, since to some readers 010 is eight. */
function readNumber(text: string, radix: 10 | 16, digits: number, most: number): number | undefined {
  if (text.length === 0 || text.length > digits) return undefined
  if (radix === 10 && text.length > 1 && text.startsWith('0')) return undefined
  let value = 0
  for (const letter of text) {
    const digit = '0123456789abcdef'.indexOf(letter.toLowerCase())
    if (digit < 0 || digit >= radix) return undefined
    value = value * radix + digit
  }
  return value <= most ? value : undefined
}

/** The list, unless something is missing in it. */
const complete = <T>(list: (T | undefined)[]): T[] | undefined =>
  list.every(item => item !== undefined) ? list : undefined
