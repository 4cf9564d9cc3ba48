/** The files of the page, as `npm run build` has made them (scripts/page.js). */

import { readFileSync } from 'node:fs'
import { messageOf, TsnetError } from '../../model/errors.ts'

export interface Asset {
  type: string
  bytes: Buffer
}

const FILES: readonly (readonly [path: string, file: string, type: string])[] = [
  ['', 'page.html', 'text/html'],
  ['page.js', 'page.js', 'text/javascript'],
  ['page.css', 'page.css', 'text/css'],
]

/** Beside the bundle, or of what was compiled alone, in the bundle's folder. */
const folder = (): URL =>
  import.meta.url.endsWith('.cjs')
    ? new URL('./', import.meta.url)
    : new URL('../../../../bundle/', import.meta.url)

/** By path. @throws TsnetError `missing` */
export function readAssets(): [path: string, asset: Asset][] {
  try {
    return FILES.map(([path, file, type]) => [
      path,
      { type: `${type}; charset=utf-8`, bytes: readFileSync(new URL(file, folder())) },
    ])
  } catch (cause) {
    throw new TsnetError('missing', `the page was not built: ${messageOf(cause)}`, {
      cause,
      details: 'npm install && npm run build',
    })
  }
}
