/**
 * Carries packets to the other hosts: what the kernel holds for it is made what it is to be.
 *
 *     change()   who has come and gone, in one go: no look at the kernel
 *     look()     what is there is read and compared, so that what others took away comes back, and what a
 *                daemon left that died goes
 *
 * The device of VXLAN learns nothing and knows no default: a packet goes to who is told, or nowhere. It has no device
 * beneath, so it outlives whatever the underlay goes through; its MTU follows the underlay's at each look. Our routes have a
 * protocol of their own, and neighbours and entries are on our device: so nothing of others is touched.
 */

import { constants } from 'node:os'
import { type Cidr, contains, familyOf, type Ip, ipOf } from '../../model/address/address.ts'
import { TsnetError } from '../../model/errors.ts'
import { overheadOf } from '../../model/hosts/hosts.ts'
import { hasNfTables } from '../../netfilter/netfilter.ts'
import { addAddress, deleteAddress, listAddresses } from '../../netlink/address.ts'
import { addVxlan } from '../../netlink/link/add.ts'
import { fdbRequest, listFdb } from '../../netlink/link/fdb.ts'
import { changeLink, deleteLink, findLink, getLink, type Link } from '../../netlink/link/link.ts'
import { listNeighbours, neighbourRequest } from '../../netlink/neighbour.ts'
import { type Netlink, openNetlink, type Request } from '../../netlink/netlink.ts'
import { listRoutes, routeRequest } from '../../netlink/route.ts'
import type { Layout } from '../keys.ts'
import type { Member, MembersChange } from '../members.ts'
import { changeGuard, ensureGuard, type Guarded, removeGuard } from './guard.ts'
import {
  deviceAlias,
  deviceName,
  difference,
  entryKey,
  groundOf,
  type Held,
  LAST_METRIC,
  neighbourKey,
  networkIdentifier,
  ownAddresses,
  type Place,
  PROTOCOL,
  routeKey,
  routeValue,
  type Thing,
  thingsOf,
} from './plan.ts'

export { deviceName, linkAddress, type Place } from './plan.ts'

/** Where this host is. */
export interface Underlay {
  addresses: Ip[]
  mtu: number
  /** The interface that has them. */
  link: string
  index: number
}

/** What containers can send without being cut. */
export const mtuOver = (
  { carrier }: Pick<Layout, 'carrier'>,
  { addresses: [address], mtu }: Underlay,
): number => mtu - overheadOf(carrier, address === undefined ? 4 : familyOf(address))

const { ENOENT, ESRCH, EADDRNOTAVAIL } = constants.errno
/** Errors of what is not there any more. */
const GONE = [ENOENT, ESRCH, EADDRNOTAVAIL]

export class Carrier {
  readonly #place: Place
  readonly #log: (line: string) => void
  #underlay: Underlay
  readonly #members: Map<string, Member>
  #link: Link | undefined
  /** What the kernel holds, as far as we know. */
  #there = new Map<string, Held>()
  #complaint: string | undefined

  /** Nothing is changed before the first look. */
  constructor(place: Place, underlay: Underlay, members: readonly Member[], log: (line: string) => void) {
    this.#place = place
    this.#underlay = underlay
    this.#members = new Map(members.map(each => [each.id, each]))
    this.#log = log
  }

  /** Some of the other hosts have come, gone, or changed. @throws what the kernel says; then a look is needed */
  change({ go, come }: MembersChange): void {
    for (const { id } of go) this.#members.delete(id)
    for (const each of come) this.#members.set(each.id, each)
    this.#changeGuard(new Set(go.flatMap(remoteOf)), new Set(come.flatMap(remoteOf)))
    const wanted = byKey(come.flatMap(each => this.#thingsOf(each)))
    const before = go.flatMap(each => this.#thingsOf(each)).map(({ key }) => key)
    const there = new Map<string, Held>()
    for (const key of [...before, ...wanted.keys()]) {
      const held = this.#there.get(key)
      if (held !== undefined) there.set(key, held)
    }
    this.#apply(there, wanted)
  }

  #changeGuard(before: ReadonlySet<Ip>, after: ReadonlySet<Ip>): void {
    const guarded = this.#guarded
    const come = [...after].filter(ip => !before.has(ip))
    const go = [...before].filter(ip => !after.has(ip))
    if (guarded === undefined || come.length + go.length === 0) return
    if (!changeGuard(guarded, come, go)) ensureGuard(guarded, this.#remotes)
  }

  /** Whether the kernel holds something of it that leads somewhere. */
  isThere(): boolean {
    using nl = openNetlink()
    const device = findLink(nl, { name: deviceName(this.#place.network) })
    if (device?.alias === deviceAlias(this.#place.network)) return true
    return [...this.#read(nl).values()].some(({ value }) => value !== 'unreachable')
  }

  /** What is not as it is to be, in words: for who looks and changes nothing. */
  faults(): string[] {
    const { layout, network } = this.#place
    const name = deviceName(network)
    using nl = openNetlink()
    this.#link = layout.carrier === 'vxlan' ? findLink(nl, { name }) : undefined
    if (layout.carrier === 'vxlan' && this.#link === undefined) return [`there is no interface ${name}`]
    const mtu = mtuOver(layout, this.#underlay)
    const device = this.#link
    const there = this.#read(nl)
    const lacking = (things: readonly Thing[]): string[] =>
      things
        .filter(({ key, value }) => there.get(key)?.value !== value)
        .map(({ put }) => `\`${wordsOf(put())}\` is not so`)
    return [
      ...(device?.up === false ? [`the interface ${name} is down`] : []),
      ...(device !== undefined && device.mtu !== mtu
        ? [
            `the interface ${name} takes packets of ${device.mtu} bytes, and ${mtu} fit through ${this.#underlay.link}`,
          ]
        : []),
      ...lacking(groundOf(this.#place)),
      ...[...this.#members.values()].flatMap(each =>
        lacking(this.#thingsOf(each)).map(
          what => `towards host ${each.name} (${each.addresses[0]}): ${what}`,
        ),
      ),
    ]
  }

  /** Makes all of it what it is to be, wherever it stands. @throws what the kernel says */
  look(underlay: Underlay = this.#underlay): void {
    this.#underlay = underlay
    using nl = openNetlink()
    this.#link = this.#place.layout.carrier === 'vxlan' ? this.#ensureDevice(nl) : undefined
    this.#ensureAddresses(nl)
    if (this.#guarded !== undefined) ensureGuard(this.#guarded, this.#remotes)
    this.#there = this.#read(nl)
    const things = [...this.#members.values()].flatMap(each => this.#thingsOf(each))
    this.#apply(this.#there, byKey([...groundOf(this.#place), ...things]))
  }

  /** Takes everything back. */
  remove(): void {
    using nl = openNetlink()
    this.#there = this.#read(nl)
    nl.changeEach([...this.#there.values()].map(({ remove }) => remove()))
    this.#there.clear()
    const device = findLink(nl, { name: deviceName(this.#place.network) })
    if (device?.alias === deviceAlias(this.#place.network)) deleteLink(nl, device)
    if (this.#place.layout.carrier === 'routes') this.#dropAddresses(nl, [])
    if (this.#guarded !== undefined) removeGuard(this.#guarded)
  }

  /** Whether the kernel holds it, as far as we know. */
  holds(key: string): boolean {
    return this.#there.has(key)
  }

  /** Nothing was refused when something was last changed. */
  get isWhole(): boolean {
    return this.#complaint === undefined
  }

  /** By which packets go to other hosts; absent with plain routes. */
  get link(): Link | undefined {
    return this.#link
  }

  get #guarded(): Guarded | undefined {
    const { layout, network } = this.#place
    const [address] = this.#underlay.addresses
    if (layout.carrier !== 'vxlan' || address === undefined || !hasNfTables()) return undefined
    return {
      device: deviceName(network),
      port: layout.port,
      identifier: networkIdentifier(network),
      family: familyOf(address),
    }
  }

  #apply(there: ReadonlyMap<string, Held>, wanted: ReadonlyMap<string, Thing>): void {
    const steps = difference(there, wanted)
    using nl = openNetlink()
    const refused = new Map(
      nl.changeEach(steps.map(({ request }) => request)).map(each => [each.index, each]),
    )
    const complaints: string[] = []
    for (const [index, { key, thing, request, isRemoval }] of steps.entries()) {
      const refusal = refused.get(index)
      if (refusal !== undefined && !(isRemoval && GONE.includes(refusal.errno))) {
        complaints.push(`${wordsOf(request)}: ${refusal.text ?? `errno ${refusal.errno}`}`)
      } else if (isRemoval) this.#there.delete(key)
      else this.#there.set(key, thing)
    }
    this.#complain(complaints)
  }

  #thingsOf(member: Member): Thing[] {
    return thingsOf(this.#place, member, this.#link)
  }

  get #remotes(): Ip[] {
    return [...this.#members.values()].flatMap(remoteOf)
  }

  /** The same one is not said again and again. */
  #complain([first, ...rest]: string[]): void {
    const complaint =
      first && `network ${this.#place.network}: ${first}${rest.length > 0 ? `, and ${rest.length} more` : ''}`
    if (complaint !== undefined && complaint !== this.#complaint) this.#log(complaint)
    this.#complaint = complaint
  }

  #ensureDevice(nl: Netlink): Link {
    const { network, layout, mac } = this.#place
    const [name, alias] = [deviceName(network), deviceAlias(network)]
    const [local] = this.#underlay.addresses
    if (local === undefined) throw new TsnetError('missing', `network ${network}: this host has no address`)
    const found = findLink(nl, { name })
    if (found !== undefined && found.alias !== alias) {
      throw new TsnetError('conflict', `network ${network}: there is an interface ${name} that is not ours`)
    }
    const id = networkIdentifier(network)
    const mtu = mtuOver(layout, this.#underlay)
    const isSame =
      found?.vxlan?.id === id &&
      found.vxlan.port === layout.port &&
      (found.vxlan.local ?? found.vxlan.local6) === local &&
      found.vxlan.learning === false &&
      found.mac === mac
    if (found !== undefined && isSame) {
      if (found.mtu !== mtu || !found.up) changeLink(nl, found, { mtu, up: true })
      return found
    }
    if (found !== undefined) deleteLink(nl, found)
    const vxlan = { id, local, udpPort: layout.port, learning: false }
    const made = addVxlan(nl, { name, mac, mtu, alias, vxlan })
    changeLink(nl, made, { up: true })
    return getLink(nl, made)
  }

  /** By which the host itself is known: on the device, or where there is none, on loopback. */
  #ensureAddresses(nl: Netlink): void {
    const wanted = ownAddresses(this.#place)
    const link = this.#link ?? getLink(nl, { name: 'lo' })
    this.#dropAddresses(nl, wanted)
    const there = listAddresses(nl, { link }).map(({ address }) => address)
    for (const address of wanted) {
      if (!there.includes(address)) addAddress(nl, link, { address, noDad: true, noPrefixRoute: true })
    }
  }

  /** Of another prefix that this host had before. */
  #dropAddresses(nl: Netlink, wanted: readonly Cidr[]): void {
    const link = this.#link ?? getLink(nl, { name: 'lo' })
    for (const { address } of listAddresses(nl, { link })) {
      if (isOfNetwork(this.#place, ipOf(address)) && !wanted.includes(address))
        deleteAddress(nl, link, { address })
    }
  }

  /** All that is ours in the kernel. */
  #read(nl: Netlink): Map<string, Held> {
    const there = new Map<string, Held>()
    const put = (key: string, value: string, remove: () => Request): void => {
      there.set(key, { value, remove })
    }
    for (const route of listRoutes(nl, { table: 254 })) {
      const { destination, protocol, type, priority, gateway, index, preferredSource, onlink } = route
      if (protocol !== PROTOCOL || !isOfNetwork(this.#place, ipOf(destination))) continue
      const isLast = priority === LAST_METRIC
      // Over a gateway on a wire the kernel finds the interface by itself.
      const device = this.#link === undefined ? undefined : index
      const value = routeValue({ type, gateway, index: device, preferredSource, onlink })
      const which = { destination, protocol, ...(isLast && { priority }) }
      put(routeKey(destination), value, () => routeRequest('delete', which))
    }
    const link = this.#link
    if (link === undefined) return there
    for (const { ip, mac = '', state } of listNeighbours(nl, { link })) {
      if (state === 'permanent') put(neighbourKey(ip), mac, () => neighbourRequest('delete', link, { ip }))
    }
    for (const { mac, remote } of listFdb(nl, { port: link })) {
      if (remote !== undefined)
        put(entryKey(mac), remote, () => fdbRequest('delete', link, { mac, remote, self: true }))
    }
    return there
  }
}

const byKey = (things: readonly Thing[]): Map<string, Thing> =>
  new Map(things.map(thing => [thing.key, thing]))

const remoteOf = ({ addresses }: Member): Ip[] => addresses.slice(0, 1)

const isOfNetwork = ({ layout }: Place, ip: Ip): boolean =>
  layout.pools.some(({ subnet }) => familyOf(subnet) === familyOf(ip) && contains(subnet, ip))

const wordsOf = ({ equivalent }: Request): string =>
  typeof equivalent === 'string' ? equivalent : equivalent()
