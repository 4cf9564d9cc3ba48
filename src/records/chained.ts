/** What the drop-in plugins of a chain have done, one file an attachment, from which it can be taken back. */

import type { FirewallRecord, HostPortRecord } from '../model/chained.ts'
import { chainedShapes } from './shapes.ts'
import { listStates, readState, removeState, writeState } from './state-files.ts'

/** The folders of the run directory, and what their files hold. */
export interface Records {
  portmap: HostPortRecord
  firewall: FirewallRecord
}

export type Role = keyof Records

const fileOf = (role: Role, owner: string): string => `${role}/${owner}.json`

export const readRecord = <R extends Role>(role: R, owner: string): Records[R] | undefined =>
  readState<Records[R]>(fileOf(role, owner), chainedShapes[role])

export const writeRecord = <R extends Role>(role: R, owner: string, record: Records[R]): void =>
  writeState(fileOf(role, owner), record)

export const removeRecord = (role: Role, owner: string): void => removeState(fileOf(role, owner))

export const listRecords = <R extends Role>(role: R): Records[R][] =>
  listStates<Records[R]>(role, chainedShapes[role])
