/** The versions of the CNI spec, and what each of them knows. */

import { TsnetError } from '../model/errors.ts'
import type { Json } from '../model/json/json.ts'
import { shown } from '../model/json/shown.ts'

/** In the order of their appearance: a later one knows what an earlier one knows. */
export const versions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

export type Version = (typeof versions)[number]

export const newest: Version = '1.1.0'

export const atLeast = (version: Version, least: Version): boolean =>
  versions.indexOf(version) >= versions.indexOf(least)

/**
 * The version that a configuration is written in. The first spec had no such key: none means 0.1.0.
 * @throws TsnetError `incompatible-version`
 */
export function readVersion(config: Json): Version {
  const text = config.get('cniVersion').text() ?? '0.1.0'
  const version = versions.find(known => known === text)
  if (version !== undefined) return version
  throw new TsnetError('incompatible-version', 'incompatible CNI versions', {
    details: `cniVersion: config is ${shown(text)}, plugin supports ${JSON.stringify(versions)}`,
  })
}

export type Command = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION'

const since: Partial<Record<Command, Version>> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' }

/** @throws TsnetError `incompatible-version` for a command that the version does not have */
export function checkCommandIsIn(version: Version, command: Command): void {
  const least = since[command]
  if (least === undefined || atLeast(version, least)) return
  throw new TsnetError('incompatible-version', `config version does not allow ${command}`, {
    details: `cniVersion is ${shown(version)}, ${command} came with ${least}`,
  })
}
