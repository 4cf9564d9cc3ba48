/** What the drop-in plugins of a chain have done, one file an attachment, from which it can be taken back. */

import type { FirewallRecord, HostPortRecord } from '../model/chained.ts'
import { type AttachmentKey, nameInNetwork } from '../model/network.ts'
import { currentBootId } from '../netns/alive.ts'
import { openContainer } from './container.ts'
import { deadCheck } from './dead.ts'
import { listStates, readState, writeState } from './state.ts'

/** The folders of the run directory, and what their files hold. */
interface Records {
  portmap: HostPortRecord
  firewall: FirewallRecord
}

type Role = keyof Records

const fileOf = (role: Role, owner: string): string => `${role}/${owner}.json`

export const readRecord = <R extends Role>(role: R, owner: string): Records[R] | undefined =>
  readState<Records[R]>(fileOf(role, owner))

export const writeRecord = <R extends Role>(role: R, owner: string, record: Records[R]): void =>
  writeState(fileOf(role, owner), record)

export const removeRecord = (role: Role, owner: string): void => writeState(fileOf(role, owner), undefined)

export const listRecords = <R extends Role>(role: R): Records[R][] => listStates<Records[R]>(role)

/** What a plugin of a chain is told about the attachment. */
export interface ChainedCall extends AttachmentKey {
  /** Path of the container's network namespace. */
  netns: string
  /** Accept a container in our own network namespace (CNI_NETNS_OVERRIDE). */
  allowOwnNetns: boolean
}

/** What every record says of its attachment. @throws TsnetError `invalid-netns` */
export function recordOf({ network, containerId, ifname, netns: path, allowOwnNetns }: ChainedCall) {
  using netns = openContainer(path, allowOwnNetns)
  return {
    network,
    containerId,
    ifname,
    netns: { path, ...netns.id },
    bootId: currentBootId(),
    createdAt: new Date().toISOString(),
  }
}

/**
 * The records of a network whose attachments are no more.
 * @param valid attachments that live; absent: only what is provably dead is no more
 */
export function recordsToCollect<R extends Role>(
  role: R,
  network: string,
  valid: { containerId: string; ifname: string }[] | undefined,
): Records[R][] {
  const isDead = deadCheck()
  const lives = valid && new Set(valid.map(nameInNetwork))
  return listRecords(role).filter(
    record =>
      record.network === network &&
      (lives === undefined ? isDead(record) : !lives.has(nameInNetwork(record))),
  )
}
