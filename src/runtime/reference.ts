/**
 * How people name a container: `web`, `docker:web`, `containerd:k8s.io/4f2a`, `pid:812`, `netns:web`.
 */

import { TsnetError } from '../model/errors.ts'
import { cut, shownPath } from '../model/json/shown.ts'
import { nearest } from '../model/nearest.ts'
import type { Runtime } from '../model/publication/publication.ts'

export interface Reference {
  /** Absent: any runtime. */
  runtime?: Runtime
  /** A name, an id or its beginning, a number or a path. */
  name: string
}

const runtimes: readonly Runtime[] = [
  'docker',
  'podman',
  'containerd',
  'runc',
  'crun',
  'lxc',
  'cri',
  'cni',
  'pid',
  'netns',
]

/** Names and ids as the runtimes allow them; a slash parts containerd's namespace or a pod's. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,254}$/

/** @throws TsnetError `invalid-environment` for text that can be no name */
export function parseReference(text: string): Reference {
  const colon = text.indexOf(':')
  const runtime = runtimes.find(each => each === text.slice(0, colon))
  const name = runtime === undefined ? text : text.slice(colon + 1)
  const refuse = (why: string) =>
    new TsnetError('invalid-environment', `container ${shownPath(text)}: ${why}`)
  // A colon may be part of a name; before it stands rarely a word that is nearly a runtime's.
  const near = runtime === undefined && colon > 0 ? nearest(text.slice(0, colon), runtimes) : undefined
  if (near !== undefined)
    throw refuse(`there is no such runtime; did you mean "${near}${cut(text.slice(colon))}"?`)
  if (runtime === 'pid' && !/^[1-9]\d{0,9}$/.test(name)) throw refuse('after pid: comes a process id')
  if (runtime === 'netns') {
    if (!/^(\/[^\0]+|[^/\0]+)$/.test(name) || name === '.' || name === '..') {
      throw refuse('after netns: comes a name below /run/netns or a path')
    }
  } else if (!NAME.test(name) || name.split('/').includes('..')) {
    throw refuse('this is not a container name or id')
  }
  return { ...(runtime !== undefined && { runtime }), name }
}

/** As parseReference; undefined for text that can be no name. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text)
  } catch {
    return undefined
  }
}
