/** Whether published ports lead to somebody: who listens in the container, and what is in the way of serving them. */

import { describeHostPorts } from '../../model/port-mapping.ts'
import { calledAll } from '../../model/publication/publication.ts'
import { UNTIL_BACK } from '../../publish/condition.ts'
import type { ListedPort } from '../../publish/list.ts'
import type { Check } from '../fault.ts'
import type { Patient } from '../patient.ts'

/** `port 8080/tcp`. */
export const portName = (port: ListedPort): string => `port ${describeHostPorts(port)}`

export const listening: Check<Patient> = {
  name: 'listening',
  about: 'somebody in the container listens on the port, and not on its loopback alone',
  look: ({ ports }) =>
    ports
      .filter(({ state }) => state === 'silent')
      .map(port => {
        const isLoopback = / of 127\.0\.0\.1 or ::1 alone/.test(port.why ?? '')
        if (port.reverse) return silentInReverse(port)
        return {
          on: portName(port),
          what: (port.why ?? 'nobody listens in the container').replace(/: publish it .*$/, ''),
          why: 'clients are refused',
          cure: isLoopback
            ? 'have the application listen on 0.0.0.0 or ::, or publish the port with --via netns'
            : 'start the application, have it listen on this port, or publish the port that it listens on',
        }
      }),
}

const silentInReverse = (port: ListedPort) => ({
  on: portName(port),
  what: port.why ?? 'nobody on this host listens',
  why: `${calledAll(port.containers)} is refused on its own loopback`,
  cure: 'start the service on this host, or publish in reverse where it listens',
})

export const serving: Check<Patient> = {
  name: 'serving',
  about: 'published ports are served',
  look: ({ ports, daemon }) =>
    ports
      // That no daemon runs is said once, for all of them.
      .filter(
        ({ state, why }) =>
          state === 'stopped' ||
          (state === 'waiting' && !(daemon.kind === 'none' && why === 'no daemon runs')),
      )
      .map(port => ({
        on: portName(port),
        what: port.why ?? 'it is not served',
        why:
          port.state === 'stopped' ? 'the port is kept, and leads nowhere' : 'clients are refused, or wait',
        cure:
          port.state === 'stopped' || isAway(port)
            ? 'start the container, or unpublish the port'
            : 'remove what is in the way: the daemon tries again every few seconds',
      })),
}

/** It was published to be kept, and nobody is there whom it could lead to. */
const isAway = ({ resting, why = '' }: ListedPort): boolean => resting === true && why.endsWith(UNTIL_BACK)
