/**
 * Whoever follows README.md word for word, whichever the runtime, has a port that answers from outside, on
 * 127.0.0.1 and on ::1.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { writeImage } from '../support/image.ts'
import {
  answers,
  block,
  command,
  isSilent,
  makePage,
  openReader,
  type Reader,
  SERVE,
} from '../support/readme.ts'

t.setTimeout(300_000) // on a busy machine

/** After the two commands with which the section begins. */
async function installed(test: Test): Promise<Reader> {
  const reader = await openReader(test)
  await reader.type(block('npm install && npm run build'))
  return reader
}

t.test('containerd', async t => {
  const reader = await installed(t)
  const { host } = reader
  const run = block('ctr run')
  const [image = ''] = run.match(/\S+:\S+/) ?? []
  const { folder } = await makePage(reader)
  mkdirSync(host.path('/srv/image'))
  writeImage(host.path(folder), image, host.path('/srv/image'), host.path('/srv/image.tar'), SERVE)
  writeFileSync(host.path('/srv/config.toml'), 'version = 2\nroot = "/srv/containerd"\n')
  const containerd = host.start('containerd', '--config', '/srv/config.toml')
  await waitFor(() => host.run('ctr', 'version'), { what: 'containerd to answer' })
  // Without overlayfs, which not every file system below takes.
  const env = { CONTAINERD_SNAPSHOTTER: 'native' }
  await host.run('ctr', 'images', 'import', '--snapshotter', 'native', '/srv/image.tar', { env })
  await reader.type(run, env)
  t.match((await host.run('ctr', 'task', 'ls')).stdout, /^web .*RUNNING/m)
  const asked = ['ctr', 'task', 'exec', '--exec-id', 'x', 'web', '/bin/busybox', 'ip', 'addr']
  t.match((await host.run(...asked)).stdout, /eth0.*inet 10\.77\.2\.2\/24/s)
  await answers(t, reader)
  await host.run('ctr', 'task', 'kill', '--signal', 'KILL', 'web')
  await containerd.stop()
})

// What podman needs to run inside a host of the lab; the README's own part stands beside it.
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

/** A network such as podman has already: the reference's plugins, wherever it looks for them. */
const OTHER = {
  cniVersion: '0.4.0',
  name: 'other',
  plugins: [
    {
      type: 'bridge',
      bridge: 'other0',
      isGateway: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: '10.99.0.0/24' }]] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
}

t.test('podman, which keeps the networks that it has', async t => {
  const reader = await installed(t)
  const { host } = reader
  await host.tmpfs('/etc/containers')
  mkdirSync(host.path('/etc/containers/containers.conf.d'))
  const policy = '{ "default": [{ "type": "insecureAcceptAnything" }] }'
  for (const [name, text] of Object.entries({
    'containers.conf': block('[network]'),
    'containers.conf.d/sandbox.conf': SANDBOX,
    'storage.conf': STORAGE,
    'policy.json': policy,
  }))
    writeFileSync(host.path(`/etc/containers/${name}`), text)
  writeFileSync(host.path('/etc/cni/net.d/87-other.conflist'), JSON.stringify(OTHER))
  const run = block('podman run')
  const image = run.split(' ').at(-1) ?? ''
  const { tar } = await makePage(reader)
  const env = { TMPDIR: '/srv' }
  const change = `CMD ${JSON.stringify(SERVE)}`
  await host.run('podman', 'import', '--change', change, tar, `docker.io/library/${image}`, { env })
  await reader.type(run, env)
  await answers(t, reader)
  await reader.type(`podman run -d --name beside --network other ${image}`, env)
  const { body } = await waitFor(() => host.fetch('http://10.99.0.2/'), { what: 'the other network' })
  t.match(body, 'Hello')
  await host.run('podman', 'rm', '--force', '--all', '--time', '0')
  await isSilent(t, reader)
})

t.test('Docker', async t => {
  const reader = await installed(t)
  const { host } = reader
  await reader.type(block('tsnet install --docker'))
  const dockerd = host.start(
    ...['dockerd', '--data-root', '/srv/docker', '--storage-driver', 'vfs'],
    ...['--exec-root', '/run/docker', '--pidfile', '/run/docker.pid'],
  )
  await waitFor(() => host.run('docker', 'version'), { what: 'dockerd to answer' })
  const run = command('docker run')
  const { tar } = await makePage(reader)
  const change = `CMD ${JSON.stringify(SERVE)}`
  await host.run('docker', 'import', '--change', change, tar, run.split(' ').at(-1) ?? '')
  await reader.type(run)
  const proxies = host.processes().filter(each => each.command.includes('libexec/tsnet/docker-proxy'))
  t.not(proxies.length, 0)
  await answers(t, reader)
  await host.run('sh', '-c', 'docker rm -f $(docker ps -q)')
  await isSilent(t, reader)
  await dockerd.stop()
})

/** A bundle that serves the page; what `runc spec` writes, without a terminal. */
async function makeBundle(reader: Reader, more: object = {}): Promise<string> {
  const { host } = reader
  const { folder } = await makePage(reader)
  await host.run('sh', '-ec', 'mkdir /srv/web; mv "$0" /srv/web; runc spec --bundle /srv/web', folder)
  const config = JSON.parse(readFileSync(host.path('/srv/web/config.json'), 'utf8'))
  const rlimits = [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }]
  config.process = { ...config.process, terminal: false, args: SERVE, rlimits }
  writeFileSync(host.path('/srv/web/config.json'), JSON.stringify({ ...config, ...more }))
  return `cd /srv/web && ${command('runc run')} </dev/null >/dev/null 2>&1`
}

t.test('runc', async t => {
  const reader = await installed(t)
  const sample = JSON.parse(readFileSync('conf/oci-hook.json', 'utf8'))
  await reader.type(await makeBundle(reader, sample))
  await answers(t, reader)
  await reader.host.run('runc', 'delete', '--force', 'web')
  await isSilent(t, reader)
})

t.test('by hand', async t => {
  const reader = await installed(t)
  await reader.type(await makeBundle(reader))
  t.match(await reader.type(command('tsnet attach')), /^web eth0 ports 10\.77\.2\.2\/24 /)
  await answers(t, reader)
  t.equal(await reader.type(command('tsnet detach')), 'web eth0 ports detached\n')
  await isSilent(t, reader)
  await reader.host.run('runc', 'delete', '--force', 'web')
})
