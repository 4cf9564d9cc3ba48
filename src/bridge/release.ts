/**
 * Gives a bridge up that no container uses any more.
 */

import { everyStep } from '../model/undo.ts'
import { deleteAddress, listAddresses } from '../netlink/address.ts'
import { deleteLinks, isCondemned } from '../netlink/link/delete.ts'
import { changeLink, findLink, type Link, listLinks } from '../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { currentNetns, inside, type Netns } from '../netns/netns.ts'
import { writeSysctl } from '../netns/sysctl.ts'
import type { BridgeLoan } from './ensure.ts'
import { isAnyPort, isOurBridge } from './names.ts'
import { unplug } from './uplink-port.ts'
import { removeVlanInterfaces } from './vlan.ts'

/**
 * Deletes the bridge if it is ours and has no port left; gives a bridge of somebody else back what was
 * changed on it. Does nothing while a container is on it. Idempotent. The caller holds a lock on the
 * bridge's name: between the look at the ports and the deletion nobody may add one.
 * @param loan all that onLoan said of this bridge
 * @returns true when the bridge was deleted
 * @throws AggregateError after having tried everything
 */
export async function releaseBridge(
  name: string,
  loan?: BridgeLoan,
  trace?: (equivalent: string) => void,
): Promise<boolean> {
  using nl = openNetlink(trace)
  return await release(nl, name, loan, undefined)
}

/** As releaseBridge, and deletes a port with it, with one wait for the kernel. */
export async function release(
  nl: Netlink,
  name: string,
  loan: BridgeLoan | undefined,
  leaving: Link | undefined,
): Promise<boolean> {
  const going = leaving === undefined ? [] : [leaving]
  const bridge = findLink(nl, { name })
  const isBridge = bridge?.kind === 'bridge'
  const ports = isBridge
    ? listLinks(nl, { master: bridge.index }).filter(
        port => port.index !== leaving?.index && !isCondemned(port),
      )
    : []
  // What we have plugged in keeps no bridge.
  const { uplinks = [] } = loan ?? {}
  const others = ports.filter(port => !uplinks.some(({ name }) => name === port.name))
  const isLeft = isBridge && (isOurBridge(bridge) ? others.length === 0 : !others.some(isAnyPort))
  if (isLeft) for (const each of uplinks) unplug(nl, each, bridge)
  const goes = isBridge && isOurBridge(bridge) && others.length === 0
  // Asked before the wait: afterwards the thread may be somewhere else.
  using home = currentNetns()
  await deleteLinks(nl, goes ? [...going, bridge] : going)
  if (isLeft && !isOurBridge(bridge)) await giveBack(nl, home, bridge, loan)
  return goes
}

async function giveBack(nl: Netlink, home: Netns, bridge: Link, loan: BridgeLoan | undefined): Promise<void> {
  const held = loan === undefined ? [] : listAddresses(nl, { link: bridge })
  await everyStep([
    () => removeVlanInterfaces(nl, bridge),
    ...held
      .filter(({ address }) => loan?.addresses.includes(address))
      .map(address => () => deleteAddress(nl, bridge, address)),
    () => {
      if (loan?.promiscuous) changeLink(nl, bridge, { promiscuous: false })
    },
    ...(loan?.settings ?? []).map(
      ({ name, value }) =>
        () =>
          inside(home, () => void writeSysctl(name, value)),
    ),
  ])
}
