/**
 * Keys of a configuration that mean nothing to anybody.
 *
 * The spec has plugins tolerate them, so they are named and not refused. What a plugin knows is what it asks for
 * (model/json/), so there is no list of keys that could be forgotten. Names with a dot, a slash or a `_` at the beginning
 * are somebody's own.
 */

import type { Json } from '../../model/json/json.ts'
import { shown, shownBare } from '../../model/json/shown.ts'

/** CNI 1.1.0, "Configuration format": for the runtime, or for every plugin. */
const STANDARD = [
  'cniVersion',
  'cniVersions',
  'name',
  'type',
  'disableCheck',
  'disableGC',
  'loadOnlyInlinedPlugins',
  'capabilities',
  'runtimeConfig',
  'args',
  'dns',
  'ipam',
  'prevResult',
]

/** CONVENTIONS.md of the CNI project, "Dynamic plugin specific fields"; `egress` is ours. */
const CAPABILITIES = [
  'portMappings',
  'ipRanges',
  'bandwidth',
  'dns',
  'ips',
  'mac',
  'infinibandGUID',
  'deviceID',
  'aliases',
  'cgroupPath',
  'egress',
]

/** What a runtime writes, and others read. */
const OF_RUNTIMES = ['prevResult', 'runtimeConfig', 'args', 'capabilities']

const isPrivate = (name: string): boolean => /^[_$]|[./]/.test(name)

/**
 * In words: `ipMaq is no key of a "tsnet" plugin; did you mean "ipMasq"?`
 * @param config one that a plugin has read
 * @param whole false where the plugin did not read to the end: then only what is near another key is named
 */
export async function unknownKeys(config: Json, whole: boolean): Promise<string[]> {
  const type = shown(config.get('type').value)
  for (const key of OF_RUNTIMES) config.get(key).leave()
  const found = config.unasked().map(({ name, within }) => {
    const atTop = within.path === ''
    const known = atTop ? [...within.asked, ...STANDARD] : within.asked
    const where = atTop ? `a ${type} plugin` : shownBare(within.path)
    return {
      name,
      known,
      what: `${shownBare(atTop ? name : `${within.path}.${name}`)} is no key of ${where}`,
    }
  })
  const offered = ['capabilities', 'runtimeConfig'].flatMap(key =>
    namesOf(config.get(key)).map(name => ({
      name,
      known: CAPABILITIES,
      what: `${shownBare(`${key}.${name}`)} is no capability`,
    })),
  )
  return inWords([...found, ...offered], whole)
}

/** Those of a network list that has been read, beside its plugins. */
export function unknownListKeys(list: Json): Promise<string[]> {
  list.get('plugins').leave()
  const known = [...list.asked, ...STANDARD]
  const found = list.unasked().map(({ name }) => ({
    name,
    known,
    what: `${shownBare(name)} is no key of a network list`,
  }))
  return inWords(found, true)
}

interface Candidate {
  name: string
  /** What it may have been meant to be. */
  known: readonly string[]
  what: string
}

async function inWords(candidates: readonly Candidate[], whole: boolean): Promise<string[]> {
  const unknown = candidates.filter(({ name, known }) => !isPrivate(name) && !known.includes(name))
  if (unknown.length === 0) return []
  // Loaded for those who need it.
  const { nearest } = await import('../../model/nearest.ts')
  return unknown
    .map(({ name, known, what }) => ({ what, near: nearest(name, known) }))
    .filter(({ near }) => whole || near !== undefined)
    .map(({ what, near }) => (near === undefined ? what : `${what}; did you mean ${JSON.stringify(near)}?`))
}

const namesOf = ({ value }: Json): string[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : []
