/**
 * Podman: over its API where its service listens, else from what it keeps on disk, since most hosts have
 * no service. Ids and names are in containers/storage's list `STORAGE/DRIVER-containers/containers.json`
 * (`volatile-containers.json` for those of `--rm`), processes in the state of runc or crun.
 *
 * The API is asked first because it also knows containers of other storages and runtimes.
 */

import { join } from 'node:path'
import { hasCode, TsnetError } from '../../model/errors.ts'
import { listNames, readJson, readText, textsIn } from '../files.ts'
import type { Found, Source } from '../found.ts'
import { engine } from './engine.ts'
import { readOciState } from './oci-state.ts'

/** @param roots folders of OCI state */
export function podman(socket: string, storage: string, roots: readonly string[]): Source {
  const api = engine('podman', socket)
  return {
    runtime: 'podman',
    async list(end) {
      try {
        return await api.list(end)
      } catch (thrown) {
        const stored = listStorage(storage, roots)
        if (stored.length > 0) return stored
        // A folder without containers is an answer, but not one that can stand for the API's.
        if (hasCode(thrown, 'missing') && listNames(storage).length > 0) return []
        throw thrown
      }
    },
    locate: api.locate,
  }
}

function listStorage(storage: string, roots: readonly string[]): Found[] {
  const folders = listNames(storage).filter(name => name.endsWith('-containers'))
  return folders.flatMap(folder =>
    ['containers.json', 'volatile-containers.json'].flatMap(file =>
      storedIn(join(storage, folder, file)).map(found => ({ ...found, pid: pidOf(found.id, roots) })),
    ),
  )
}

function storedIn(file: string): Found[] {
  if (readText(file) === undefined) return []
  const list = readJson(file)
  if (!Array.isArray(list)) throw new TsnetError('io', `podman: ${file} is not a list of containers`)
  return list.flatMap((each: { id?: unknown; names?: unknown; metadata?: unknown }) => {
    const { id, names, metadata } = each ?? {}
    if (typeof id !== 'string' || !Array.isArray(names) || !isPodmans(metadata)) return []
    const aliases = textsIn(names)
    return [{ runtime: 'podman' as const, id, name: aliases[0] ?? id, aliases }]
  })
}

/** CRI-O's pods and buildah's working containers lie in the same list. */
function isPodmans(metadata: unknown): boolean {
  try {
    const words = JSON.parse(String(metadata)) as Record<string, unknown>
    return typeof words.name === 'string' && words['pod-id'] === undefined
  } catch {
    return false
  }
}

function pidOf(id: string, roots: readonly string[]): number {
  return roots.map(root => readOciState(root, id)?.pid ?? 0).find(pid => pid > 0) ?? 0
}
