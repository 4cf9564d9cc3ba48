/** Paths in a configuration. */

import { join } from 'node:path'
import type { Json } from '../../model/json/json.ts'
import { surroundings } from '../../model/surroundings.ts'

/**
 * A path, made absolute: as with the reference plugins, a relative one begins where the caller is.
 * @throws TsnetError `invalid-config`
 */
export function readPath(json: Json): string | undefined {
  const path = json.text()
  if (path === undefined) return undefined
  if (path.includes('\0')) return json.refuse('is not a path')
  return path.startsWith('/') ? path : join(surroundings().directory ?? process.cwd(), path)
}
