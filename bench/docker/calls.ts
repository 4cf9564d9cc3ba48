/** Containers and networks that come and go. */

import { NETWORK, type Side, type Work } from './sides.ts'

const AT_ONCE = 20
const FIRST_PORT = 9000

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

const crowd = Array.from({ length: AT_ONCE }, (_, i) => ({ name: `guest${i}`, port: FIRST_PORT + i }))

const start = ({ docker }: Side, { name, port }: (typeof crowd)[number]): Promise<void> =>
  docker.idle(name, '--network', NETWORK, '-p', `${port}:80`)

export const CALLS: readonly Work[] = [
  {
    name: 'docker run --rm with a port',
    unit: 'ms',
    limit: { budget: 1 },
    measure: ({ docker }) => timed(() => docker.once('--rm', '--network', NETWORK, '-p', '8080:80')),
  },
  {
    name: `docker run of ${AT_ONCE} at once`,
    unit: 'ms',
    limit: { budget: 0.8 },
    measure: side => timed(() => Promise.all(crowd.map(each => start(side, each)))),
  },
  {
    // Of those that the work before has started.
    name: `docker rm -f of ${AT_ONCE} at once`,
    unit: 'ms',
    measure: ({ docker }) => timed(() => Promise.all(crowd.map(({ name }) => docker.run('rm', '-f', name)))),
  },
  {
    name: 'docker network create',
    unit: 'ms',
    limit: { budget: 0.5 },
    measure: ({ docker, create }) => timed(() => docker.run('network', 'create', ...create, 'back')),
  },
  {
    name: 'docker network rm',
    unit: 'ms',
    measure: ({ docker }) => timed(() => docker.run('network', 'rm', 'back')),
  },
]
