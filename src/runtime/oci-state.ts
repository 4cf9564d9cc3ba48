/**
 * runc and crun, from their state files: `/run/runc/<id>/state.json`, `/run/crun/<id>/status`.
 */

import { join } from 'node:path'
import { listNames, readJson } from './files.ts'
import type { Found } from './found.ts'

export function listRunc(root = '/run/runc'): Found[] {
  return listNames(root).flatMap(id => {
    const state = readJson(join(root, id, 'state.json'))
    return state === undefined
      ? []
      : [{ runtime: 'runc' as const, id, name: id, pid: Number(state.init_process_pid) }]
  })
}

export function listCrun(root = '/run/crun'): Found[] {
  return listNames(root).flatMap(id => {
    const status = readJson(join(root, id, 'status'))
    return status === undefined ? [] : [{ runtime: 'crun' as const, id, name: id, pid: Number(status.pid) }]
  })
}
