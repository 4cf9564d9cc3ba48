/** What is wrong with a list beside its plugins. */

import { realpathSync } from 'node:fs'
import { checkNetworkName } from '../../cni/config/names.ts'
import { repeatedKeys } from '../../cni/config/repeated-key.ts'
import { unknownListKeys } from '../../cni/config/unknown-keys.ts'
import { messageOf } from '../../model/errors.ts'
import { parseJson } from '../../model/json/json.ts'
import { shown } from '../../model/json/shown.ts'
import { versions } from '../../runtime/cni-versions.ts'
import { listIn, listNetworks, type NetworkList } from '../../runtime/conflist.ts'
import type { Host } from '../places.ts'
import { error, type Finding, warning } from './finding.ts'

export async function findingsOfList(
  file: string,
  text: string,
  list: NetworkList,
  host: Host,
): Promise<Finding[]> {
  const isSingle = !parseJson(text).get('plugins').present
  return [
    ...attempt(() => checkNetworkName(list.name)),
    ...repeatedKeys(text).map(({ path, key }) =>
      warning(`${path === '' ? key : `${path}.${key}`} is there twice: the last one counts`),
    ),
    ...(isSingle ? [] : (await unknownKeysOf(text)).map(warning)),
    ...versionsOf(text, list),
    ...otherFiles(file, list, host),
  ]
}

function unknownKeysOf(text: string): Promise<string[]> {
  const json = parseJson(text)
  listIn(json)
  return unknownListKeys(json)
}

function attempt(read: () => unknown): Finding[] {
  try {
    read()
    return []
  } catch (thrown) {
    return [error(messageOf(thrown))]
  }
}

function versionsOf(text: string, list: NetworkList): Finding[] {
  const json = parseJson(text)
  if (!json.get('cniVersion').present && !json.get('cniVersions').present)
    return [warning('cniVersion is missing, and that means 0.1.0, which has neither chains nor CHECK')]
  if (versions.some(known => known === list.cniVersion)) return []
  return [
    error(
      `cniVersion: ${shown(list.cniVersion)} is no version of CNI that we know; there are ${versions.join(', ')}`,
    ),
  ]
}

/** What a runtime means by a name is the first list of it. */
function otherFiles(file: string, { name }: NetworkList, { confDir }: Host): Finding[] {
  const all = listNetworks(confDir).filter(({ list }) => list.name === name)
  const isThis = (other: string) => realpathSync(other) === realpathSync(file)
  const first = all[0]?.file
  if (first === undefined || all.every(each => isThis(each.file))) return []
  const others = all.filter(each => !isThis(each.file)).map(each => each.file)
  const counts = isThis(first) ? 'this one counts' : `${first} counts`
  return [warning(`name: ${others.join(', ')} is called ${name} too; ${counts}`)]
}
