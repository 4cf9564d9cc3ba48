/** Everything of the network of a host and its containers that a link could change, in words. */

import { diff, type Host, type Snapshot, waitFor } from 'tsnet/lab'
import { kernelSectionsOf } from '../../src/lab/residue-kernel.ts'
import { settingsOf } from '../../src/lab/residue-proc.ts'

export function kernelState(host: Host): Snapshot {
  const places = [host, ...host.namespaces]
  return { ...kernelSectionsOf(places), setting: settingsOf(places) }
}

/**
 * As changesSince, once there is nothing left, or there was time enough: routes of IPv6 addresses come and go
 * some time after the request.
 * @param except what does not matter
 */
export async function lastingChangesSince(host: Host, before: Snapshot, except?: RegExp): Promise<string[]> {
  let left: string[] = []
  const gone = () => {
    left = changesSince(host, before).filter(line => !except?.test(line))
    return left.length === 0
  }
  await waitFor(gone, { what: 'everything to be as it was' }).catch(() => {})
  return left
}

/** What is different from then, a sentence each. */
export const changesSince = (host: Host, before: Snapshot): string[] => diff(before, kernelState(host))
