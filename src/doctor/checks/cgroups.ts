/**
 * Who manages control groups. Two drivers on one host keep two trees of one kernel's: limits are counted twice or not at
 * all, and a kubelet whose runtime has another driver than itself starts no pods. Only what is written down counts: what
 * each does where nothing is said differs by version and init.
 *
 * Source: dockerd(8), `native.cgroupdriver`; containerd's cri plugin, `SystemdCgroup`; containers.conf(5),
 * `cgroup_manager`; KubeletConfiguration, `cgroupDriver`.
 */

import { readContainerdConfig, runningContainerds } from '../../runtime/containerd-config.ts'
import { readJson, readText } from '../../runtime/files.ts'
import { podmanSetting } from '../../runtime/network-folders.ts'
import type { Check, Found } from '../fault.ts'
import type { Patient } from '../patient.ts'

interface Saying {
  file: string
  driver: string
}

export const cgroupDrivers: Check<Patient> = {
  name: 'cgroup-drivers',
  about: 'those who manage control groups on this host say of one driver that it does',
  look: ({ subject }) => (subject.kind === 'host' ? disagreement([...said()]) : []),
}

export function disagreement([first, ...others]: readonly Saying[]): Found[] {
  const other = others.find(({ driver }) => driver !== first?.driver)
  if (first === undefined || other === undefined) return []
  return [
    {
      on: other.file,
      what: `it has control groups managed by ${other.driver}, and ${first.file} by ${first.driver}`,
      why: 'one host has two managers of them: under pressure limits do not hold, and a kubelet that differs from its runtime starts no pods',
      cure: 'say the same in both files (systemd where systemd runs), and restart whose file it was once its containers are stopped',
    },
  ]
}

const DOCKER = '/etc/docker/daemon.json'
const KUBELET = '/var/lib/kubelet/config.yaml'

function* said(): Generator<Saying> {
  const options = readJson(DOCKER)?.['exec-opts']
  const docker = [options].flat().find(each => typeof each === 'string' && each.startsWith(OPTION))
  if (typeof docker === 'string') yield { file: DOCKER, driver: docker.slice(OPTION.length) }
  for (const file of runningContainerds()) {
    const { hasPods, systemdCgroup } = readContainerdConfig('', file)
    if (hasPods && systemdCgroup !== undefined) yield { file, driver: systemdCgroup ? 'systemd' : 'cgroupfs' }
  }
  const [podman, file] = podmanSetting('engine', 'cgroup_manager') ?? []
  if (podman !== undefined && file !== undefined) yield { file, driver: podman }
  const [, kubelet] = /^cgroupDriver:\s*["']?(\w+)/m.exec(readText(KUBELET) ?? '') ?? []
  if (kubelet !== undefined) yield { file: KUBELET, driver: kubelet }
}

const OPTION = 'native.cgroupdriver='
