/**
 * Forwarding databases: behind which port of a bridge, or which end of a VXLAN, a link-layer address lives.
 *
 * Source: linux/neighbour.h (struct ndmsg with AF_BRIDGE).
 */

import type { Ip } from '../../model/address/address.ts'
import { present } from '../../model/present.ts'
import { command } from '../command.ts'
import * as k from '../constants.ts'
import type { Message } from '../message.ts'
import { neighbourMessage } from '../neighbour.ts'
import type { Netlink, Request } from '../netlink.ts'
import { type LinkRef, nameOf } from './link.ts'

export interface FdbEntry {
  mac: string
  /** The port, or the VXLAN itself. */
  index: number
  /** The bridge whose entry it is; absent for an entry of the link's own (`self`). */
  masterIndex?: number
  vlan?: number
  /** Of a VXLAN: the other end, its port and network identifier where they are not the default. */
  remote?: Ip
  port?: number
  vni?: number
  /** permanent: the link's own address. static: told, not learned. dynamic: learned, ages. */
  kind: 'permanent' | 'static' | 'dynamic'
  /** Told by a control plane instead of a person. */
  externallyLearned: boolean
}

/** undefined for an entry without link-layer address. @throws MalformedError */
export function readFdbEntry({ payload }: Pick<Message, 'payload'>): FdbEntry | undefined {
  const { header, attributes: a } = neighbourMessage.decode(payload)
  if (a.mac === undefined) return undefined
  const permanent = (header.state & k.NUD_PERMANENT) !== 0
  return present({
    mac: a.mac,
    index: header.index,
    masterIndex: a.master,
    vlan: a.vlan,
    remote: a.destination,
    port: a.port,
    vni: a.vni,
    kind: permanent ? 'permanent' : (header.state & k.NUD_NOARP) !== 0 ? 'static' : 'dynamic',
    externallyLearned: (header.flags & k.NTF_EXT_LEARNED) !== 0,
  })
}

/**
 * The entries of one bridge, one link, or all.
 * Equivalent to: bridge fdb show [br BRIDGE] [brport NAME]
 */
export function listFdb(nl: Netlink, filter: { bridge?: LinkRef; port?: LinkRef } = {}): FdbEntry[] {
  const { bridge, port } = filter
  const messages = nl.dump({
    equivalent: () =>
      command('bridge fdb show', bridge && ['br', nameOf(bridge)], port && ['brport', nameOf(port)]),
    type: k.RTM_GETNEIGH,
    payload: [
      neighbourMessage.encode({
        header: { family: k.AF_BRIDGE },
        attributes: { index: port?.index, master: bridge?.index },
      }),
    ],
  })
  return messages
    .map(readFdbEntry)
    .filter(entry => entry !== undefined)
    .filter(({ index }) => (port?.index ?? index) === index)
    .filter(({ index, masterIndex }) => !bridge || index === bridge.index || masterIndex === bridge.index)
}

/** An entry to be told. */
export interface NewFdbEntry {
  mac: string
  vlan?: number
  /** For a VXLAN: where frames to this address go. */
  remote?: Ip
  /** The entry goes into the link's own database (a VXLAN's) instead of that of its bridge. */
  self?: boolean
}

/**
 * Tells where an address lives; permanently, as a static entry. @throws NetlinkError `EEXIST`
 * Equivalent to: bridge fdb add MAC dev NAME [dst REMOTE] [vlan VLAN] [self|master] static
 */
export const addFdbEntry = (nl: Netlink, link: LinkRef, entry: NewFdbEntry): void =>
  nl.change(fdbRequest('add', link, entry))

/**
 * Adds a further destination to an address, as a VXLAN floods `00:00:00:00:00:00` to many ends.
 * Equivalent to: bridge fdb append MAC dev NAME dst REMOTE self static
 */
export const appendFdbEntry = (nl: Netlink, link: LinkRef, entry: NewFdbEntry): void =>
  nl.change(fdbRequest('append', link, entry))

/**
 * Tells where an address lives, whatever was known before.
 * Equivalent to: bridge fdb replace MAC dev NAME [dst REMOTE] [vlan VLAN] [self|master] static
 */
export const replaceFdbEntry = (nl: Netlink, link: LinkRef, entry: NewFdbEntry): void =>
  nl.change(fdbRequest('replace', link, entry))

/**
 * Forgets where an address lives. @throws NetlinkError `ENOENT`
 * Equivalent to: bridge fdb delete MAC dev NAME [dst REMOTE] [vlan VLAN] [self|master]
 */
export const deleteFdbEntry = (nl: Netlink, link: LinkRef, entry: NewFdbEntry): void =>
  nl.change(fdbRequest('delete', link, entry))

/** What each verb of `bridge` asks for. */
const verbFlags = {
  add: k.NLM_F_CREATE | k.NLM_F_EXCL,
  append: k.NLM_F_CREATE | k.NLM_F_APPEND,
  replace: k.NLM_F_CREATE | k.NLM_F_REPLACE,
  delete: 0,
}

/** One of the changes above as a value, for those who ask for many at once. */
export function fdbRequest(verb: keyof typeof verbFlags, link: LinkRef, entry: NewFdbEntry): Request {
  const { mac, vlan, remote, self = false } = entry
  const deleting = verb === 'delete'
  return {
    equivalent: () =>
      command(
        `bridge fdb ${verb}`,
        mac,
        ['dev', nameOf(link)],
        ['dst', remote],
        ['vlan', vlan],
        self ? 'self' : 'master',
        !deleting && 'static',
      ),
    type: deleting ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH,
    flags: verbFlags[verb],
    payload: [
      neighbourMessage.encode({
        header: {
          family: k.AF_BRIDGE,
          index: link.index,
          // ndm_state as `bridge fdb … static` sets it: reachable, and never asked for.
          state: k.NUD_NOARP | k.NUD_REACHABLE,
          flags: self ? k.NTF_SELF : k.NTF_MASTER,
        },
        attributes: { destination: remote, mac, vlan },
      }),
    ],
  }
}
