/**
 * Whoever follows README.md word for word, whichever the runtime, has a port that answers from outside, on
 * 127.0.0.1 and on ::1.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import {
  CONTAINERD_ENVIRONMENT,
  makeBundle,
  PODMAN_ENVIRONMENT,
  preparePodman,
  startContainerd,
  startDocker,
} from '../support/reader-runtimes.ts'
import { answers, block, command, isSilent, makePage, openReader, type Reader } from '../support/readme.ts'

t.setTimeout(600_000) // on a busy machine

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
  const containerd = await startContainerd(reader, image)
  await reader.type(run, CONTAINERD_ENVIRONMENT)
  t.match((await host.run('ctr', 'task', 'ls')).stdout, /^web .*RUNNING/m)
  const asked = ['ctr', 'task', 'exec', '--exec-id', 'x', 'web', '/bin/busybox', 'ip', 'addr']
  t.match((await host.run(...asked)).stdout, /eth0.*inet 10\.77\.2\.2\/24/s)
  await answers(t, reader)
  await host.run('ctr', 'task', 'kill', '--signal', 'KILL', 'web')
  await containerd.stop()
})

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
  writeFileSync(host.path('/etc/cni/net.d/87-other.conflist'), JSON.stringify(OTHER))
  const run = block('podman run')
  const image = run.split(' ').at(-1) ?? ''
  const { tar } = await makePage(reader)
  await preparePodman(reader, tar, image, block('[network]'))
  const env = PODMAN_ENVIRONMENT
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
  const run = command('docker run')
  const { tar } = await makePage(reader)
  const dockerd = await startDocker(reader, tar, run.split(' ').at(-1) ?? '')
  await reader.type(run)
  const proxies = host.processes().filter(each => each.command.includes('libexec/tsnet/docker-proxy'))
  t.not(proxies.length, 0)
  await answers(t, reader)
  await host.run('sh', '-c', 'docker rm -f $(docker ps -q)')
  await isSilent(t, reader)
  await dockerd.stop()
})

const runBundle = () => `cd /srv/web && ${command('runc run')} </dev/null >/dev/null 2>&1`

t.test('runc', async t => {
  const reader = await installed(t)
  const sample = JSON.parse(readFileSync('conf/oci-hook.json', 'utf8'))
  await makeBundle(reader, sample)
  await reader.type(runBundle())
  await answers(t, reader)
  await reader.host.run('runc', 'delete', '--force', 'web')
  await isSilent(t, reader)
})

t.test('by hand', async t => {
  const reader = await installed(t)
  await makeBundle(reader)
  await reader.type(runBundle())
  t.match(await reader.type(command('tsnet attach')), /^web eth0 ports 10\.77\.2\.2\/24 /)
  await answers(t, reader)
  t.equal(await reader.type(command('tsnet detach')), 'web eth0 ports detached\n')
  await isSilent(t, reader)
  await reader.host.run('runc', 'delete', '--force', 'web')
})
