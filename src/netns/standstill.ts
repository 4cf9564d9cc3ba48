/** Processes that do not go on before somebody lets them. */

import { readFileSync } from 'node:fs'

/** By a signal, or with its control group. */
export type Standstill = 'stopped' | 'frozen'

/**
 * What keeps a process from going on; undefined where it does, or has ended.
 * Source: proc_pid_stat(5), field 3; cgroups(7): freezer.state of version 1, and cgroup.events of version 2, which lies
 * apart where there are both.
 */
export function standstillOf(pid: number): Standstill | undefined {
  if (/\) T[^)]*$/.test(textIn(`/proc/${pid}/stat`))) return 'stopped'
  const groups = textIn(`/proc/${pid}/cgroup`)
  const [, first] = /:freezer:(.*)/.exec(groups) ?? []
  const [, second] = /^0::(.*)/m.exec(groups) ?? []
  const isFrozen =
    (first !== undefined && /FROZEN/.test(textIn(`/sys/fs/cgroup/freezer${first}/freezer.state`))) ||
    (second !== undefined &&
      ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].some(root =>
        /^frozen 1$/m.test(textIn(`${root}${second}/cgroup.events`)),
      ))
  return isFrozen ? 'frozen' : undefined
}

function textIn(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
