/** A container of podman's comes to a network, and goes. */

import { join } from '../chain/join.ts'
import { leave, leaveUnwritten } from '../chain/leave.ts'
import { isHostName } from '../model/address/host-name.ts'
import { present } from '../model/present.ts'
import type { Host } from '../networks/networks.ts'
import { JOINS } from '../networks/networks.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import { listFor } from './create.ts'
import type { PodmanContainer } from './request.ts'
import { type StatusBlock, statusOf } from './status.ts'

/** @throws TsnetError; nothing is left of it then */
export async function setUp(container: PodmanContainer, netns: string, host: Host): Promise<StatusBlock> {
  const { id, name, network, ports, ifname, ips, mac, aliases } = container
  requireRunDirectory()
  const list = await listFor(network, host)
  // podman sends them to every network of a container, whatever it can do.
  const can = (capability: string) => list.plugins.some(each => each.capabilities.includes(capability))
  const { result } = await join(
    list,
    present({
      containerId: id,
      name,
      netns,
      ifname,
      ips,
      mac,
      ports: can('portMappings') ? ports : [],
      aliases: can('aliases') ? aliases.filter(isHostName) : [],
      isAnew: true,
    }),
    host,
  )
  return statusOf(result, ifname)
}

/** Also of what a killed setup left, and of what is not there. */
export async function tearDown({ id, network, ifname }: PodmanContainer, host: Host): Promise<void> {
  const key = { network: network.options[JOINS] ?? network.name, containerId: id, ifname }
  const left = await leave(key, host)
  if (left.length === 0) await leaveUnwritten({ ...key, netns: '' }, host)
}
