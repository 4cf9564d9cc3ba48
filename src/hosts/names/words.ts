/**
 * What hosts say of their containers in etcd, as keys and values, and what others may have written there.
 *
 *     /tsnet/_names/front/<host>/<owner>     one attachment: its names and its addresses
 *     /tsnet/_names/front/<host>/drained     that host takes no new connections of services; under no lease
 *
 * No network is called `_names`: such names begin with a letter or a digit.
 */

import { type Cidr, contains, familyOf, type Ip, isIp, parseIp } from '../../model/address/address.ts'
import { isHostName } from '../../model/address/host-name.ts'
import { messageOf } from '../../model/errors.ts'
import { all, listOf, record, type Shape, text, when } from '../../model/json/shape.ts'
import { readStored, storedText } from '../../model/json/stored.ts'
import { isHostId } from '../keys.ts'

/** One interface of a container, as its host tells of it. */
export interface NameWord {
  /** Its id; the same of a container on several networks. */
  container: string
  /** Lower case, each a host's name. */
  names: string[]
  addresses: Ip[]
}

export interface NameKeys {
  /** All begin so. */
  all: string
  attachment(host: string, owner: string): string
  drained(host: string): string
}

export function nameKeysOf(prefix: string, network: string): NameKeys {
  const all = `${prefix.replace(/\/+$/, '')}/_names/${network}/`
  return {
    all,
    attachment: (host, owner) => `${all}${host}/${owner}`,
    drained: host => `${all}${host}/drained`,
  }
}

/** What a key is about; undefined: it is none of ours. */
export function keyParts(
  keys: NameKeys,
  key: string,
): { host: string; owner: string | undefined } | undefined {
  const [host = '', what = '', ...more] = key.slice(keys.all.length).split('/')
  if (!isHostId(host) || more.length > 0) return undefined
  if (what === 'drained') return { host, owner: undefined }
  return /^[0-9a-f]{16}$/.test(what) ? { host, owner: what } : undefined
}

/** Of one container; more is no container that anybody meant. */
const NAMES_MAX = 64
const ADDRESSES_MAX = 16

const atMost = (most: number): Shape =>
  when(value => (value as unknown[]).length <= most, `a list of at most ${most}`)

const shape = record({
  container: all(
    text,
    when(id => /^[a-zA-Z0-9][\w.-]{0,254}$/.test(String(id)), 'the id of a container'),
  ),
  names: all(
    listOf(
      all(
        text,
        when(
          name => isHostName(String(name)) && name === String(name).toLowerCase(),
          'a name of a host in lower case',
        ),
      ),
    ),
    atMost(NAMES_MAX),
  ),
  addresses: all(listOf(when(isIp, 'an address')), atMost(ADDRESSES_MAX)),
})

export const nameText = ({ container, names, addresses }: NameWord): string =>
  storedText({ container, names, addresses })

/** @returns a sentence for what is no word */
export function readNameWord(value: string, key: string): NameWord | string {
  try {
    const stored = readStored<NameWord>(value, shape, key)
    if ('damage' in stored) return stored.damage
    const { container, names, addresses } = stored.value
    // Printed anew: of an address there are many forms, and it is looked up by one.
    return { container, names: [...new Set(names)], addresses: addresses.map(each => parseIp(each)) }
  } catch (thrown) {
    return messageOf(thrown)
  }
}

/** The first address that is none of the prefixes'. */
export const strangerAmong = (addresses: readonly Ip[], prefixes: readonly Cidr[]): Ip | undefined =>
  addresses.find(ip => !prefixes.some(prefix => familyOf(prefix) === familyOf(ip) && contains(prefix, ip)))
