/** Whoever types docs/tutorial.md word for word sees what stands there, and has nothing left of it in the end. */

import t from 'tap'
import { diff, snapshot } from 'tsnet/lab'
import { readDocument } from '../support/document.ts'
import { PODMAN_ENVIRONMENT, preparePodman, startDocker } from '../support/reader-runtimes.ts'
import { makePage, openReader, typeAll } from '../support/readme.ts'

t.setTimeout(600_000) // on a busy machine

/** What the runtimes and the daemon have for themselves, and groups of multicast that a bridge asked for. */
const KEPT =
  /docker|containerd|runc|podman|libpod|\/run\/tsnet|tsnet daemon|\/var\/lib\/cni\/results|224\.0\.0\.22/

t.test('two containers of two runtimes on one network, by name, with a port and a fault', async t => {
  const reader = await openReader(t)
  const { tar } = await makePage(reader)
  const image = 'nginx:alpine'
  await preparePodman(reader, tar, image, '')
  const dockerd = await startDocker(reader, tar, image)
  await reader.type('podman container ls', PODMAN_ENVIRONMENT) // makes what podman keeps for itself
  const before = await snapshot(reader.host)
  await typeAll(t, reader, readDocument('docs/tutorial.md').typed(), PODMAN_ENVIRONMENT)
  const left = diff(before, await snapshot(reader.host)).filter(line => !KEPT.test(line))
  t.same(left, [], 'nothing is left')
  await dockerd.stop()
})
