/**
 * The veth pair between the bridge and the container.
 *
 * The container's end appears directly in its namespace: moving it there would make the kernel wait 15 ms.
 * The host's end is recognizable from its first moment by name and MAC, and by its alias from the second
 * request on; it comes up only when it is a port with all its settings, so that an isolated port is never
 * open.
 */

import { hasCode, TsnetError } from '../model/errors.ts'
import { addVeth } from '../netlink/link/add.ts'
import { changeLink, deleteLink, findLink, type Link } from '../netlink/link/link.ts'
import { type BridgeRef, enslave } from './enslave.ts'
import { noSuchKind } from './ensure.ts'
import { isHostEnd } from './names.ts'
import type { LinkPlan } from './plan/plan.ts'
import { applyToNew, hostSettings } from './settings.ts'
import type { Side } from './side.ts'
import { setPortVlans } from './vlan.ts'

/**
 * Makes the pair, and the host's end a port of the bridge, which is not up.
 * @param netnsFd the container's namespace
 * @returns the host's end; the container's index is its `peerIndex`
 * @throws TsnetError `conflict` when the attachment has a link already, or the container an interface of that name
 */
export function makeVeth(side: Side, plan: LinkPlan, bridge: BridgeRef, netnsFd: number): Link {
  const link = addPair(side, plan, bridge, netnsFd)
  applyToNew(side, hostSettings(link.name))
  return link
}

/** Gives the host's end what it has as a port, and brings it up. */
export function bringUp({ nl }: Side, { host }: LinkPlan, bridge: BridgeRef, link: Link): void {
  const { alias, hairpin, isolated, vlans } = host
  const settings = (hairpin || isolated) && {
    port: { ...(hairpin && { hairpin }), ...(isolated && { isolated }) },
  }
  if (vlans === undefined) {
    // Of one request the kernel makes what concerns the port first.
    changeLink(nl, link, { alias, ...settings, up: true })
  } else {
    changeLink(nl, link, { alias, ...settings })
    setPortVlans(nl, link, bridge.name, vlans)
    changeLink(nl, link, { up: true })
  }
}

function addPair(
  { nl, undo }: Side,
  { owner, host, container }: LinkPlan,
  bridge: BridgeRef,
  netnsFd: number,
): Link {
  const mtu = host.mtu !== undefined && { mtu: host.mtu }
  const peer = { name: container.name, mac: container.mac, netnsFd, ...mtu }
  for (const name of host.names) {
    // Found again by what proves it: the kernel may have made it, and its answer may be lost.
    const takeBack = () => {
      const made = findLink(nl, { name })
      if (made !== undefined && isHostEnd(made, owner)) deleteLink(nl, made)
    }
    try {
      const link = enslave(bridge, () =>
        addVeth(nl, { name, mac: host.mac, ...mtu, master: bridge.index, peer }),
      )
      undo.push(`veth ${name}`, takeBack)
      return link
    } catch (thrown) {
      if (hasCode(thrown, 'EOPNOTSUPP')) throw noSuchKind('veth', 'CONFIG_VETH', thrown)
      if (!hasCode(thrown, 'EEXIST')) {
        undo.push(`veth ${name}`, takeBack)
        throw thrown
      }
    }
    // Either end's name may be taken; the kernel does not say which.
    const taken = findLink(nl, { name })
    if (taken === undefined) {
      throw new TsnetError('conflict', `interface ${container.name} exists already in the container`)
    }
    if (isHostEnd(taken, owner)) {
      throw new TsnetError(
        'conflict',
        `${name} exists already: this attachment was made before; detach it first`,
      )
    }
  }
  throw new TsnetError(
    'conflict',
    `both ${host.names.join(' and ')} exist already and are not tsnet's to replace`,
  )
}
