/**
 * Network lists in their folder, as libcni finds them: `*.conflist` in the order of their names, then single
 * configurations (`*.conf`, `*.json`), the first of the name asked for. A list may have plugins in files of
 * their own, in a folder named after it (CNI 1.1.0, `loadOnlyInlinedPlugins`).
 *
 * A file that cannot be read is nobody's network, and is named when the one asked for is not found.
 */

import { readdirSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { readGiven } from '../ffi/regular-file.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { type Json, parseJson } from '../model/json/json.ts'
import { shown } from '../model/json/shown.ts'
import { newest, type Version, versions } from './cni-versions.ts'
import { namesIn } from './folder.ts'

export const CONF_DIR = '/etc/cni/net.d'

export interface NetworkList {
  name: string
  cniVersion: string
  /** As they stand in the list. */
  plugins: PluginConfig[]
  /** The list as JSON, all plugins in it: what is written down for DEL. */
  text: string
}

export interface PluginConfig {
  type: string
  /** Those that it declares. */
  capabilities: string[]
  config: Record<string, unknown>
}

/** @throws TsnetError `invalid-environment` naming the networks that there are; `io` */
export function findNetworkList(name: string, folder: string): NetworkList {
  const damaged: string[] = []
  const lists = listNetworks(folder, (file, thrown) => damaged.push(`${file}: ${messageOf(thrown)}`))
  const found = lists.find(({ list }) => list.name === name)
  if (found !== undefined) return found.list
  const known = lists.map(({ list }) => list.name)
  throw new TsnetError('invalid-environment', noSuchNetwork(name, folder, known), {
    ...(damaged.length > 0 && { details: `not understood: ${damaged.join('; ')}` }),
  })
}

/** A sentence without its end. @param known the networks that there are */
export const noSuchNetwork = (name: string, folder: string, known: readonly string[]): string =>
  `there is no network ${shown(name)} in ${folder}; ${known.length > 0 ? `there are ${known.join(', ')}` : 'there is none'}`

/**
 * All network lists, in the order in which they count.
 * @param onDamage hears of files that are none
 * @throws TsnetError `io`
 */
export function listNetworks(
  folder: string,
  onDamage: (file: string, thrown: unknown) => void = () => {},
): { file: string; list: NetworkList }[] {
  return filesIn(folder).flatMap(file => {
    try {
      return [{ file, list: readNetworkList(file) }]
    } catch (thrown) {
      onDamage(file, thrown)
      return []
    }
  })
}

/** Files that may be network lists, in the order in which they count. @throws TsnetError `io` */
export function filesIn(folder: string): string[] {
  let names: string[]
  try {
    names = readdirSync(folder).sort()
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return []
    throw new TsnetError('io', `the folder of networks: ${messageOf(cause)}`, { cause })
  }
  const ending = (...endings: string[]) => names.filter(name => endings.includes(extname(name)))
  return [...ending('.conflist'), ...ending('.conf', '.json')].map(name => join(folder, name))
}

/** @throws TsnetError `io`, `decode`, `invalid-config` */
export function readNetworkList(file: string): NetworkList {
  const text = readGiven(file)
  checkKind(file, parseJson(text, 'it'))
  const list = parseNetworkList(text)
  const more =
    parseJson(text, 'it').get('loadOnlyInlinedPlugins').value === true ? [] : pluginsBeside(file, list.name)
  const whole = more.length === 0 ? list : withPlugins(text, list, more)
  if (whole.plugins.length > 0) return whole
  throw new TsnetError('invalid-config', 'the list has no plugins')
}

/** Runtimes take what a file holds by the ending of its name. @throws TsnetError `invalid-config` */
function checkKind(file: string, json: Json): void {
  const isList = json.get('plugins').present
  if (extname(file) === '.conflist' && !isList && json.get('type').present) {
    throw new TsnetError(
      'invalid-config',
      'it is the configuration of one plugin: put it into `plugins` of a list, or call the file *.conf',
    )
  }
  if (extname(file) !== '.conflist' && isList && !json.get('type').present)
    throw new TsnetError('invalid-config', 'it is a list of plugins: call the file *.conflist')
}

/** A list, or a single configuration as a list of one. @throws TsnetError `decode`, `invalid-config` */
export const parseNetworkList = (text: string): NetworkList => listIn(parseJson(text, 'it'))

/** As parseNetworkList, of a document that has been parsed. @throws TsnetError `invalid-config` */
export function listIn(list: Json): NetworkList {
  const name = list.get('name').text() ?? list.get('name').refuse('is missing')
  const isSingle = !list.get('plugins').present && list.get('type').present
  const plugins = isSingle ? [list] : list.get('plugins').list()
  const cniVersion = versionOf(list)
  const whole = isSingle ? JSON.stringify({ cniVersion, name, plugins: [list.value] }) : list.source
  return { name, cniVersion, plugins: plugins.map(readPlugin), text: whole }
}

function readPlugin(json: Json): PluginConfig {
  const config = json.object()
  const declared = Object.entries(json.get('capabilities').object())
  return {
    type: json.get('type').text() ?? json.get('type').refuse('is missing'),
    capabilities: declared.filter(([, has]) => has === true).map(([name]) => name),
    config,
  }
}

/** The highest of `cniVersions` and `cniVersion` that we speak; what we do not speak the plugins refuse. */
function versionOf(list: Json): string {
  const one = list.get('cniVersion').text()
  const many = list
    .get('cniVersions')
    .list()
    .map(each => each.text() ?? '')
  if (many.length === 0) return one ?? '0.1.0'
  const spoken = [...many, one ?? ''].filter((each): each is Version =>
    versions.some(known => known === each),
  )
  return spoken.sort((a, b) => versions.indexOf(a) - versions.indexOf(b)).at(-1) ?? one ?? newest
}

function pluginsBeside(file: string, name: string): PluginConfig[] {
  const folder = join(dirname(file), name)
  const files = namesIn(folder)
    .filter(each => extname(each) === '.conf')
    .map(each => join(folder, each))
  return files.map(each => readPlugin(parseJson(readGiven(each), each)))
}

function withPlugins(text: string, list: NetworkList, more: PluginConfig[]): NetworkList {
  const plugins = [...list.plugins, ...more]
  const whole = { ...parseJson(text, 'it').object(), plugins: plugins.map(({ config }) => config) }
  return { ...list, plugins, text: JSON.stringify(whole) }
}
