/** Runtimes on the host of someone who reads a document: as they are on a real host, but for what a sandbox forbids. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type Running, waitFor } from 'tsnet/lab'
import { writeImage } from './image.ts'
import { makePage, type Reader, SERVE } from './readme.ts'

const CHANGE = `CMD ${JSON.stringify(SERVE)}`

/** containerd, without overlayfs, which not every file system below takes. */
export const CONTAINERD_ENVIRONMENT = { CONTAINERD_SNAPSHOTTER: 'native' }

/** @param image its name, whole */
export async function startContainerd(reader: Reader, image: string): Promise<Running> {
  const { host } = reader
  const { folder } = await makePage(reader)
  mkdirSync(host.path('/srv/image'))
  writeImage(host.path(folder), image, host.path('/srv/image'), host.path('/srv/image.tar'), SERVE)
  writeFileSync(host.path('/srv/config.toml'), 'version = 2\nroot = "/srv/containerd"\n')
  const containerd = host.start('containerd', '--config', '/srv/config.toml')
  await waitFor(() => host.run('ctr', 'version'), { what: 'containerd to answer' })
  const options = ['--snapshotter', 'native', '/srv/image.tar']
  await host.run('ctr', 'images', 'import', ...options, { env: CONTAINERD_ENVIRONMENT })
  return containerd
}

const SANDBOX = `
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
`
const STORAGE = `
[storage]
driver = "vfs"
graphroot = "/srv/podman"
runroot = "/run/podman"
`

export const PODMAN_ENVIRONMENT = { TMPDIR: '/srv' }

/** @param settings containers.conf, as the document has it */
export async function preparePodman(
  reader: Reader,
  tar: string,
  image: string,
  settings: string,
): Promise<void> {
  const { host } = reader
  await host.tmpfs('/etc/containers')
  mkdirSync(host.path('/etc/containers/containers.conf.d'))
  const policy = '{ "default": [{ "type": "insecureAcceptAnything" }] }'
  for (const [name, text] of Object.entries({
    'containers.conf': settings,
    'containers.conf.d/sandbox.conf': SANDBOX,
    'storage.conf': STORAGE,
    'policy.json': policy,
  }))
    writeFileSync(host.path(`/etc/containers/${name}`), text)
  const words = ['import', '--change', CHANGE, tar, `docker.io/library/${image}`]
  await host.run('podman', ...words, { env: PODMAN_ENVIRONMENT })
}

/** @param tar the image's files */
export async function startDocker({ host }: Reader, tar: string, image: string): Promise<Running> {
  const dockerd = host.start(
    ...['dockerd', '--data-root', '/srv/docker', '--storage-driver', 'vfs'],
    ...['--exec-root', '/run/docker', '--pidfile', '/run/docker.pid'],
  )
  await waitFor(() => host.run('docker', 'version'), { what: 'dockerd to answer' })
  await host.run('docker', 'import', '--change', CHANGE, tar, image)
  return dockerd
}

/** A bundle at /srv/web that serves the page; what `runc spec` writes, without a terminal. */
export async function makeBundle(reader: Reader, more: object = {}): Promise<void> {
  const { host } = reader
  const { folder } = await makePage(reader)
  await host.run('sh', '-ec', 'mkdir /srv/web; mv "$0" /srv/web; runc spec --bundle /srv/web', folder)
  const config = JSON.parse(readFileSync(host.path('/srv/web/config.json'), 'utf8'))
  const rlimits = [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }]
  config.process = { ...config.process, terminal: false, args: SERVE, rlimits }
  writeFileSync(host.path('/srv/web/config.json'), JSON.stringify({ ...config, ...more }))
}
