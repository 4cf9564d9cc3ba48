/**
 * A daemon that was started because it was needed is in the control group of whoever needed it: of a unit of
 * systemd that runs one container, say, and the end of that unit would be the end of all ports. So it goes to the
 * root of the hierarchy by which service managers know what is theirs. Limits of version 1's controllers, which are
 * hierarchies of their own, stay as they are.
 *
 * Source: cgroups(7), "/proc files" and "cgroup.procs"; proc_pid_mountinfo(5).
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Version 2, and systemd's own of version 1. */
const isManagers = (controllers: string): boolean => controllers === '' || controllers === 'name=systemd'

/** Leaves the group of whoever started us, as far as we may. */
export function leaveControlGroup(): void {
  for (const root of rootsToGoTo(readFileSync('/proc/self/cgroup', 'utf8'), mounts())) {
    try {
      writeFileSync(join(root, 'cgroup.procs'), String(process.pid))
    } catch {
      // Not ours to leave (a container, whose root takes no processes or is read only): we end with it.
    }
  }
}

/**
 * @param groups as /proc/self/cgroup has them: `0::/system.slice/web.service`
 * @param mountinfo as /proc/self/mountinfo has it
 * @returns folders of the roots of the hierarchies in which we are somewhere else
 */
export function rootsToGoTo(groups: string, mountinfo: string): string[] {
  const hierarchies = mountinfo.split('\n').flatMap(line => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root, point] = before.split(' ')
    const [type, , options = ''] = after.split(' ')
    if (point === undefined || root !== '/' || (type !== 'cgroup' && type !== 'cgroup2')) return []
    const named = options.split(',').find(option => option.startsWith('name='))
    return [{ point, controllers: type === 'cgroup2' ? '' : (named ?? 'others') }]
  })
  return groups.split('\n').flatMap(line => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (controllers === undefined || path === '/' || !isManagers(controllers)) return []
    const hierarchy = hierarchies.find(each => each.controllers === controllers)
    return hierarchy === undefined ? [] : [hierarchy.point]
  })
}

const mounts = (): string => readFileSync('/proc/self/mountinfo', 'utf8')
