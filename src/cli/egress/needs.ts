/** From what a container needs to the list that allows it, and nothing twice. */

import type { Ip } from '../../model/address/address.ts'
import type { NamePattern } from '../../model/address/name-pattern.ts'
import { isOfNames, type Permission, permissionText, readEntry } from '../../model/address/reach.ts'

export interface Need {
  to: Ip
  /** What would allow it by its address. */
  permission: Permission
  /** A name that leads there allows it, too. */
  mayBeNamed: boolean
}

/** Of more than that nobody makes a list. */
export const NEEDS_MAX = 65_536

/** What is needed, each once. */
export class Needs {
  readonly #needs = new Map<string, Need>()
  /** There was more than there is room for. */
  isCut = false

  add(need: Need): void {
    const key = `${permissionText(need.permission)} ${need.mayBeNamed}`
    if (this.#needs.has(key)) return
    if (this.#needs.size >= NEEDS_MAX) this.isCut = true
    else this.#needs.set(key, need)
  }

  /** Whom they lead to. */
  get addresses(): Ip[] {
    return [...new Set([...this.#needs.values()].map(({ to }) => to))]
  }

  /**
   * Entries in order.
   * @param namesOf what was asked for that led to an address: each is an entry, since each may lead elsewhere tomorrow
   * @param listed of addresses of which nobody asked any more: what a list has for them
   */
  list(namesOf: (ip: Ip) => readonly string[], listed: ReadonlyMap<Ip, NamePattern> = new Map()): string[] {
    const all = [...this.#needs.values()].flatMap(({ to, permission, mayBeNamed }) => {
      const named = mayBeNamed ? namesOf(to).flatMap(name => byName(permission, name)) : []
      if (named.length > 0) return named
      const entry = mayBeNamed ? listed.get(to) : undefined
      return [entry === undefined ? permission : { ...permission, to: entry }]
    })
    const whole = new Set(all.flatMap(({ to, service }) => (service === undefined ? [to] : [])))
    // A list with names has it.
    const hasDns = all.some(isOfNames)
    const needed = all.filter(
      ({ to, service }) => (service === undefined || !whole.has(to)) && !(to === 'dns' && hasDns),
    )
    return [...new Set(needed.map(permissionText))].sort()
  }
}

/** The same of a name; nothing where lists take no such name: what was asked for is anything. */
function byName({ service }: Permission, name: string): Permission[] {
  const whole = name.includes('*') ? '' : readEntry(name)
  const isName = typeof whole === 'object' && isOfNames(whole) && whole.to === name
  return isName ? [{ ...whole, ...(service && { service }) }] : []
}
