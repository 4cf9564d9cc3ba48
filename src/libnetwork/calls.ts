/**
 * The calls by their names, and the form of what is asked and answered.
 * Source: moby, libnetwork/docs/remote.md and ipam.md, and the structs of drivers/remote/api and ipams/remote/api.
 */

import type { Json } from '../model/json/json.ts'
import { createEndpoint, deleteEndpoint, joinEndpoint, leaveEndpoint } from './endpoints.ts'
import { createDockerNetwork, deleteDockerNetwork } from './lists.ts'
import { releasePool, requestAddress, requestPool } from './pools.ts'
import { programPorts, revokePorts } from './ports.ts'
import type { Asker } from './world.ts'

type Call = (asked: Json, world: Asker) => object | Promise<object>

const nothing = (): object => ({})

const SPACE = 'tsnet'

export const calls: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['Plugin.Activate', () => ({ Implements: ['NetworkDriver', 'IpamDriver'] })],
  ['NetworkDriver.GetCapabilities', () => ({ Scope: 'local', ConnectivityScope: 'local' })],
  ['NetworkDriver.CreateNetwork', createDockerNetwork],
  ['NetworkDriver.DeleteNetwork', deleteDockerNetwork],
  ['NetworkDriver.CreateEndpoint', createEndpoint],
  ['NetworkDriver.EndpointOperInfo', () => ({ Value: {} })],
  ['NetworkDriver.DeleteEndpoint', deleteEndpoint],
  ['NetworkDriver.Join', joinEndpoint],
  ['NetworkDriver.Leave', leaveEndpoint],
  ['NetworkDriver.ProgramExternalConnectivity', programPorts],
  ['NetworkDriver.RevokeExternalConnectivity', revokePorts],
  // Of hosts of a swarm, which networks of this driver have nothing to do with.
  ['NetworkDriver.DiscoverNew', nothing],
  ['NetworkDriver.DiscoverDelete', nothing],
  ['IpamDriver.GetCapabilities', () => ({ RequiresMACAddress: false, RequiresRequestReplay: false })],
  [
    'IpamDriver.GetDefaultAddressSpaces',
    () => ({ LocalDefaultAddressSpace: SPACE, GlobalDefaultAddressSpace: SPACE }),
  ],
  ['IpamDriver.RequestPool', requestPool],
  ['IpamDriver.ReleasePool', releasePool],
  ['IpamDriver.RequestAddress', requestAddress],
  // It is its endpoint's, and goes with that.
  ['IpamDriver.ReleaseAddress', nothing],
])
