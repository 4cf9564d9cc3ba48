/**
 * Every block of README.md that somebody could type is run here, as it stands there, on a host of the lab.
 *
 *     client eth0 192.168.50.2 ── lan0 192.168.50.1 host ── containers
 *
 * Two things are not as they would be: `npm` does not fetch what is there already and does not build what is
 * built (see NPM), and the image is one of busybox under nginx's name, since no registry is reached.
 */

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Host, lab, waitFor } from 'tsnet/lab'
import { makeRootFilesystem } from '../support/busybox.ts'
import { writeImage } from '../support/image.ts'

t.setTimeout(300_000) // on a busy machine

/** The indented blocks, without their indentation, and the commands that stand in a sentence. */
const readme = readFileSync('README.md', 'utf8')
const blocks = [...readme.matchAll(/^\n((?: {4}.*\n|\n(?= {4}))+)/gm)].map(([, block = '']) =>
  block.replace(/^ {4}/gm, '').trim(),
)
const find = (start: string): string => {
  const found = blocks.find(block => block.startsWith(start))
  if (found === undefined) throw new Error(`README.md has no block that starts with ${start}`)
  return found
}

const HERE = process.cwd()

// `install` checks that what it would install is installed, `run build` has been done, and `test` is us.
const NPM = `#!/bin/sh
case "$*" in
  install) exec "$NPM" ls --all >/dev/null ;;
  test | 'run build') exec "$NPM" pkg get scripts.test scripts.build >/dev/null ;;
  'run demo') exec dist/bin/tsnet demo ;;
  *) echo "npm $* is not prepared for" >&2; exit 1 ;;
esac
`

/** A host with a client beside it, whose `npm` does not change the project. */
async function open(test: Test) {
  const world = await lab()
  test.teardown(() => world.end())
  const [host, client] = [await world.host('host'), await world.host('client')]
  world.wire([host, 'lan0', '192.168.50.1/24'], [client, 'eth0', '192.168.50.2/24'])
  await host.tmpfs('/opt/cni', '/srv')
  mkdirSync(host.path('/srv/bin'))
  writeFileSync(host.path('/srv/bin/npm'), NPM)
  chmodSync(host.path('/srv/bin/npm'), 0o755)
  return { host, client }
}

/** Runs a block as a person with a shell does. */
async function type(host: Host, block: string, env: Record<string, string> = {}): Promise<string> {
  const npm = (await host.run('sh', '-c', 'command -v npm')).stdout.trim()
  const PATH = `/srv/bin:${process.env.PATH}:/usr/sbin:/sbin`
  const { stdout } = await host.run('sh', '-ec', block, { env: { PATH, NPM: npm, ...env }, cwd: HERE })
  return stdout
}

t.test('every block that could be typed is run by a test of this file', async t => {
  const typed = blocks.filter(block => /^(npm|mkdir|ln|cp|ctr|podman|tsnet|sudo|node|cat|\[)/.test(block))
  const known = ['npm install && npm run demo', 'npm install && npm test', 'npm install && npm run build']
  const starts = [...known, 'ctr run', '[network]']
  for (const block of typed)
    t.ok(
      starts.some(start => block.startsWith(start)),
      block,
    )
})

t.test('the demo, and the tests', async t => {
  const { host } = await open(t)
  t.match(await type(host, find('npm install && npm run demo')), /nothing is left/)
  await type(host, find('npm install && npm test'))
})

/** An image that serves a page, under the name that the README uses. */
async function makeImage(host: Host, name: string): Promise<string> {
  makeRootFilesystem(host.path('/srv/rootfs'))
  writeFileSync(host.path('/srv/rootfs/www/index.html'), 'Hello from the container!')
  mkdirSync(host.path('/srv/image'))
  writeImage(host.path('/srv/rootfs'), name, host.path('/srv/image'), host.path('/srv/image.tar'))
  return '/srv/image.tar'
}

t.test('containerd starts a container as the README has it', async t => {
  const { host } = await open(t)
  await type(host, find('npm install && npm run build'))
  const run = find('ctr run')
  const [image = ''] = run.match(/\S+:\S+/) ?? []
  await makeImage(host, image)
  writeFileSync(host.path('/srv/config.toml'), 'version = 2\nroot = "/srv/containerd"\n')
  const containerd = host.start('containerd', '--config', '/srv/config.toml')
  await waitFor(() => host.run('ctr', 'version'), { what: 'containerd to answer' })
  // Without overlayfs, which not every file system below takes.
  const env = { CONTAINERD_SNAPSHOTTER: 'native' }
  await host.run('ctr', 'images', 'import', '--snapshotter', 'native', '/srv/image.tar', { env })
  await type(host, run, env)
  t.match((await host.run('ctr', 'task', 'ls')).stdout, /^web .*RUNNING/m)
  const { stdout } = await host.run(
    'ctr',
    'task',
    'exec',
    '--exec-id',
    'x',
    'web',
    '/bin/busybox',
    'ip',
    'addr',
  )
  t.match(stdout, /eth0.*inet 10\.77\.2\.2\/24/s)
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

t.test('podman publishes a port as the README has it', async t => {
  const { host, client } = await open(t)
  await type(host, find('npm install && npm run build'))
  await host.tmpfs('/etc/containers')
  mkdirSync(host.path('/etc/containers/containers.conf.d'))
  writeFileSync(host.path('/etc/containers/containers.conf'), find('[network]'))
  writeFileSync(host.path('/etc/containers/containers.conf.d/sandbox.conf'), SANDBOX)
  writeFileSync(host.path('/etc/containers/storage.conf'), STORAGE)
  writeFileSync(
    host.path('/etc/containers/policy.json'),
    '{ "default": [{ "type": "insecureAcceptAnything" }] }',
  )
  const [, run = '', image = ''] = /`(podman run [^`]* (\S+))`/.exec(readme) ?? []
  t.match(run, /-p 8080:80 /)
  await makeImage(host, image)
  const web = '["/bin/busybox","httpd","-f","-p","80","-h","/www"]'
  await host.run('tar', '-C', '/srv/rootfs', '-cf', '/srv/rootfs.tar', '.')
  await host.run(
    'podman',
    'import',
    '--change',
    `CMD ${web}`,
    '/srv/rootfs.tar',
    `docker.io/library/${image}`,
    {
      env: { TMPDIR: '/srv' },
    },
  )
  await type(host, run, { TMPDIR: '/srv' })
  const page = () => client.fetch('http://192.168.50.1:8080/')
  const { body } = await waitFor(page, { what: 'the page' })
  t.equal(body, 'Hello from the container!')
  await host.run('podman', 'rm', '--force', '--all', '--time', '0')
  await t.rejects(page())
})
