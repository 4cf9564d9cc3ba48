/**
 * README.md as a person reads it, on a host of the lab: what could be typed, and a shell to type it into.
 *
 *     client eth0 ────────── lan0 host ── containers
 *       192.168.50.2   192.168.50.1
 *       fd50::2             fd50::1
 *
 * Three things are not as they would be: `npm` does not fetch what is there already and does not build what is
 * built (see NPM), there is no systemd that would restart Docker, and the image is one of busybox under nginx's
 * name, since no registry is reached.
 */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import type { Test } from 'tap'
import { type Finished, type Host, lab, type Place, waitFor } from 'tsnet/lab'
import { makeRootFilesystem } from './busybox.ts'
import { isPrinted, readDocument, type Typed } from './document.ts'

export const { blocks, block, command } = readDocument('README.md')

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

const SYSTEMCTL = `#!/bin/sh
[ "$*" = 'restart docker' ] || PATH=\${PATH#*:} exec systemctl "$@"
`

/** What `tsnet install` writes to. */
const TOUCHED = ['/opt/cni', '/usr/local', '/etc/systemd/system', '/var/lib/tsnet', '/etc/docker']

/** Where the machine's containerd and podman have the reference's plugins: kept, and written over here alone. */
const PLUGINS = '/usr/lib/cni'
const OVERLAY = `
mkdir -p /srv/overlay/upper /srv/overlay/work
mount -t overlay -o "lowerdir=$0,upperdir=/srv/overlay/upper,workdir=/srv/overlay/work" overlay "$0"
`

export interface Reader {
  host: Host
  client: Host
  /** Runs a block as a person with a shell does. @throws CommandError */
  type(block: string, env?: Record<string, string>): Promise<string>
  /** The same, where it may fail. @param place the host, where nothing is said */
  try(block: string, env?: Record<string, string>, place?: Place): Promise<Finished>
}

/** A host with a client beside it, whose `npm` does not change the project. */
export async function openReader(test: Test): Promise<Reader> {
  const world = await lab()
  test.teardown(() => world.end())
  const [host, client] = [await world.host('host'), await world.host('client')]
  world.wire(
    [host, 'lan0', '192.168.50.1/24', 'fd50::1/64'],
    [client, 'eth0', '192.168.50.2/24', 'fd50::2/64'],
  )
  await host.tmpfs('/srv', ...TOUCHED)
  await host.run('sh', '-ec', OVERLAY, PLUGINS)
  mkdirSync(host.path('/srv/bin'))
  for (const [name, script] of Object.entries({ npm: NPM, systemctl: SYSTEMCTL }))
    writeFileSync(host.path(`/srv/bin/${name}`), script, { mode: 0o755 })
  // Of what is typed beside today's clients nothing needs it.
  const npm = (await host.run('sh', '-c', 'command -v npm || true')).stdout.trim()
  const PATH = `/srv/bin:/usr/local/bin:${process.env.PATH}:/usr/sbin:/sbin`
  const options = (env = {}) => ({ env: { PATH, NPM: npm, ...env }, cwd: HERE })
  return {
    host,
    client,
    type: async (block, env) => (await host.run('sh', '-ec', block, options(env))).stdout,
    try: (block, env, place = host) => place.run('sh', '-ec', block, { ...options(env), mayFail: true }),
  }
}

/** Types all of it, and holds what is printed against what stands below it. */
export async function typeAll(
  test: Test,
  reader: Reader,
  typed: readonly Typed[],
  env: Record<string, string> = {},
): Promise<void> {
  test.not(typed.length, 0, 'something is typed')
  for (const { command, prints, isClient } of typed) {
    const place = isClient ? reader.client : reader.host
    const { code, stdout, stderr } = await reader.try(command, env, place)
    // What finds a fault ends with 1, unless it mended it.
    const isFault = prints.some(line => line.startsWith('✗')) && !/ any more$/.test(prints.at(-1) ?? '')
    const expected = isFault ? 1 : 0
    const isRight = code === expected && (prints.length === 0 || isPrinted(prints, stdout))
    test.equal(isRight ? '' : `exit code ${code}\n${stdout}${stderr}`, '', `$ ${command}`)
  }
}

const PAGE = 'Hello from the container!\n<title>Welcome to nginx!</title>\n'

/** What the container runs. */
export const SERVE = ['/bin/busybox', 'httpd', '-f', '-p', '80', '-h', '/www']

/** A root file system with a page to serve, also as a tar file. */
export async function makePage({ host }: Reader): Promise<{ folder: string; tar: string }> {
  const [folder, tar] = ['/srv/rootfs', '/srv/rootfs.tar']
  makeRootFilesystem(host.path(folder))
  for (const applet of ['wget', 'nslookup']) symlinkSync('busybox', host.path(`${folder}/bin/${applet}`))
  writeFileSync(host.path(`${folder}/www/index.html`), PAGE)
  await host.run('tar', '-C', folder, '-cf', tar, '.')
  return { folder, tar }
}

/** The page is read at port 8080 of the host from outside and on localhost, over IPv4 and IPv6; or nowhere. */
export async function answers(test: Test, { host, client }: Reader): Promise<void> {
  for (const [place, url] of everywhere(host, client)) {
    const page = () => place.fetch(url, { withinMs: 2_000 })
    const { body } = await waitFor(page, { what: `the page at ${url} from ${place.name}` })
    test.equal(body, PAGE, `${url} from ${place.name}`)
  }
}

export async function isSilent(test: Test, { host, client }: Reader): Promise<void> {
  for (const [place, url] of everywhere(host, client))
    await test.rejects(place.fetch(url, { withinMs: 500 }), `${url} from ${place.name}`)
}

const everywhere = (host: Host, client: Host): [place: Place, url: string][] => [
  [host, 'http://127.0.0.1:8080/'],
  [host, 'http://[::1]:8080/'],
  [client, 'http://192.168.50.1:8080/'],
  [client, 'http://[fd50::1]:8080/'],
]
