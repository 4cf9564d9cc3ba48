/**
 * What is looked at between a client and an application, each a small thing with a name.
 *
 *     client ─▶ host's rules, settings, port ─▶ bridge and its ports ─▶ container: interface, routes ─▶ who listens
 *
 * A check reads the kernel, files and the daemon through the parts that tsnet itself works with, and gives what it finds
 * as values (fault.ts). It says nothing where all is well, nor where it cannot know.
 */

import type { Check } from '../fault.ts'
import type { Patient } from '../patient.ts'
import { cgroupDrivers } from './cgroups.ts'
import { connections, fullTable } from './connections.ts'
import { container } from './container.ts'
import { daemon, log } from './daemon.ts'
import { foreignRules, frames, loopbackRules } from './foreign-rules.ts'
import { forwarding, returnPath } from './forwarding.ts'
import { holders } from './holders.ts'
import { carrier, egress, hostPrefix, hosts } from './hosts.ts'
import { kernel } from './kernel.ts'
import { listening, serving } from './listening.ts'
import { mtu } from './mtu.ts'
import { names } from './names.ts'
import { neighbours, ports } from './neighbours.ts'
import { addresses, lists } from './networks.ts'
import { ours, records } from './ours.ts'
import { reach } from './reach.ts'
import { routes } from './routes.ts'
import { containerd, docker, podman } from './runtimes.ts'

/** In the order in which what they find is told: what others follow from comes first. */
export const checks: readonly Check<Patient>[] = [
  daemon,
  log,
  records,
  ours,
  forwarding,
  returnPath,
  lists,
  hosts,
  hostPrefix,
  carrier,
  egress,
  addresses,
  kernel,
  foreignRules,
  frames,
  loopbackRules,
  holders,
  container,
  ports,
  neighbours,
  routes,
  reach,
  mtu,
  listening,
  serving,
  connections,
  fullTable,
  names,
  docker,
  podman,
  containerd,
  cgroupDrivers,
]
