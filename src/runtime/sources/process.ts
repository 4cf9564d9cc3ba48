/** Whether a process that a runtime wrote down is still that very one: pids are used again. */

import { readText } from '../files.ts'

/**
 * @param startTicks when it started, in clock ticks since boot; 0 or NaN: not known
 * @returns the pid; 0 when it ended
 */
export function livingPid(pid: number, startTicks = 0): number {
  if (!Number.isInteger(pid) || pid <= 0) return 0
  const started = startOf(pid)
  if (started === undefined) return 0
  return startTicks > 0 && started !== startTicks ? 0 : pid
}

/** Source: proc(5), /proc/pid/stat: field 22; the name in field 2 may hold anything. */
function startOf(pid: number): number | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields === undefined || fields[0] === 'Z' ? undefined : Number(fields[19])
}
