/** The daemon: that it runs where something needs it, answers, and is of this version. */

import { failureSince, LOG } from '../../control/start.ts'
import { describeHostPorts, type HostPorts, type PortMapping } from '../../model/port-mapping.ts'
import { VERSION } from '../../model/version.ts'
import type { Check, Found } from '../fault.ts'
import type { Patient, Trouble } from '../patient.ts'

export const daemon: Check<Patient> = {
  name: 'daemon',
  about: 'the daemon runs where it is needed, answers, and is of this version',
  look: patient => {
    const found = lookAt(patient)
    return found === undefined ? [] : [found]
  },
}

function lookAt(patient: Patient): Found | undefined {
  const { daemon } = patient
  switch (daemon.kind) {
    case 'silent':
      return {
        on: 'the daemon',
        what: daemon.why,
        why: 'nothing new is published, and clients of what the proxy serves wait',
        cure: 'continue or end it; then: tsnet daemon --replace',
      }
    case 'none':
      return missing(patient)
    case 'running':
      if (daemon.version === VERSION) return undefined
      return {
        on: 'the daemon',
        what: `it is of ${daemon.version === undefined ? 'an earlier version' : `version ${daemon.version}`}, and this command of ${VERSION}`,
        why: 'one may not know what the other asks for',
        cure: 'tsnet daemon --replace (or restart its service); connections go on',
      }
  }
}

function missing({ attached, published }: Patient): Found | undefined {
  const held = attached.flatMap(({ attachment }) => attachment.ports)
  const proxied = published.filter(({ mode }) => mode !== 'nat')
  const [first] = [...held, ...proxied.filter(({ reverse }) => !reverse)]
  const reversed = proxied.find(({ reverse }) => reverse)
  const failure = failureSince(0)
  const names = attached.some(({ attachment }) => attachment.names !== undefined)
  if (first === undefined && reversed === undefined && !names) return undefined
  return {
    on: 'the daemon',
    what: `no daemon runs${failure === undefined ? '' : `, and the last that was to be started did not: ${failure}`}`,
    why: unserved(first, reversed),
    cure: 'tsnet daemon (tsnet install has it started with the host)',
    fix: { do: 'start-daemon' },
  }
}

function unserved(
  first: Pick<PortMapping, 'hostPort' | 'protocol'> | undefined,
  reversed: HostPorts | undefined,
): string {
  if (first !== undefined)
    return `nobody answers on 127.0.0.1 and ::1 for published ports such as ${first.hostPort}/${first.protocol}`
  return reversed === undefined
    ? 'nobody tells the names of networks'
    : `nobody answers in containers for what is published in reverse, such as ${describeHostPorts(reversed)}`
}

/** What is older is over, or has come again. */
const LATELY_MS = 600_000

export const log: Check<Patient> = {
  name: 'log',
  about: 'the daemon has told of no trouble in the last ten minutes',
  look: ({ daemon, subject }) =>
    daemon.kind === 'running' && subject.kind === 'host' ? troublesIn(daemon.troubles ?? []) : [],
}

/** The last one, and how many there are. */
export function troublesIn(troubles: readonly Trouble[], now = Date.now()): Found[] {
  const recent = troubles.filter(({ at }) => now - Date.parse(at) < LATELY_MS)
  const last = recent.at(-1)
  if (last === undefined) return []
  const more = recent.length > 1 ? `, and ${recent.length - 1} more in the last ten minutes` : ''
  return [
    {
      on: 'the daemon',
      what: `at ${last.at} it said: ${last.what}${more}`,
      why: 'something that it does went wrong, and may again',
      cure: `read its log: journalctl -u tsnet, or ${LOG} of one that was started by the way`,
    },
  ]
}
