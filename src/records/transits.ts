/** Networks that other hosts leave by this one, one file each, by their owner tags. */

import type { NatBackend, NatIntent } from '../model/network.ts'
import { listNames } from './run-directory.ts'
import { transitShape } from './shapes.ts'
import { readKept, writeKept } from './state-files.ts'

export interface Transit {
  network: string
  backend: NatBackend
  intent: NatIntent
}

const FOLDER = 'transits'
const fileOf = (owner: string): string => `${FOLDER}/${owner}.json`

export const readTransit = (owner: string): Transit | undefined =>
  readKept<Transit>(fileOf(owner), transitShape)

export const writeTransit = (owner: string, transit: Transit | undefined): void =>
  writeKept(fileOf(owner), transit)

export const listTransits = (): Transit[] =>
  listNames(FOLDER).flatMap(name =>
    name.endsWith('.json') ? (readTransit(name.slice(0, -'.json'.length)) ?? []) : [],
  )
