/**
 * `tsnet demo`: a web server in a container, published on a port of its host.
 *
 *     client ── lan0 host [demo0] ── web
 *
 * The hosts and the container are namespaces of the lab, so nothing of this machine's network is touched.
 * The plugin is called as a runtime calls it: this very executable, CNI_COMMAND in its environment, a
 * network configuration on its stdin. What it did is looked at, used, shown, undone, and compared with what
 * was there before.
 */

import { executable } from '../control/executable.ts'
import { diff, type Host, lab, type Namespace, snapshot, type World } from '../lab/lab.ts'
import { forcedBackend } from '../model/environment.ts'
import { TsnetError } from '../model/errors.ts'
import { chooseBackend } from '../nat/nat.ts'
import { rulesOf } from './demo-rules.ts'
import { checkRequirements } from './requirements.ts'
import { paint, step, type Terminal } from './terminal.ts'

const HOST_PORT = 8080
const CONTAINER_PORT = 80
const ECHO_PORT = 7
const HOST = ['192.168.50.1', 'fd50::1'] as const
const CLIENT = ['192.168.50.2', 'fd50::2'] as const

const CONFIG = {
  cniVersion: '1.1.0',
  name: 'demo',
  type: 'tsnet',
  bridge: 'demo0',
  isDefaultGateway: true,
  ipMasq: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/16' }], [{ subnet: 'fd88::/64' }]] },
  runtimeConfig: { portMappings: [{ hostPort: HOST_PORT, containerPort: CONTAINER_PORT, protocol: 'tcp' }] },
}

/** What happened, as `--json` prints it. */
export interface DemoReport {
  backend: 'iptables' | 'nftables'
  topology: string
  /** The CNI result of ADD. */
  result: unknown
  fetched: { from: string; url: string; body: string }[]
  /** How the outside saw the container, by its own address. */
  outside: Record<string, string>
  rules: string
  /** What stays by design: host-local's files that tell which address was given last. */
  remembered: string[]
  /** What else was different at the end from the beginning, in words. */
  left: string[]
}

interface Sandbox {
  host: Host
  client: Host
  web: Namespace
}

/** @throws TsnetError `missing` with what to install; anything that did not work as it should */
export async function demo(terminal: Terminal, options: { json: boolean }): Promise<void> {
  checkRequirements()
  const backend = chooseBackend(forcedBackend(process.env))
  const screen = options.json ? { ...terminal, out: () => {}, lively: false } : terminal
  screen.out(
    `${paint(screen.lively, 'bold', 'A web server in a container, published on port 8080 of its host.')}\n`,
  )
  screen.out('All of it is namespaces made for this; the network of this machine is not touched.\n\n')
  const world = await lab()
  try {
    const report = await perform(world, backend, screen)
    if (options.json) terminal.out(`${JSON.stringify(report, null, 2)}\n`)
    if (report.left.length > 0) {
      throw new TsnetError('internal', 'something was left behind', { details: report.left.join('\n') })
    }
  } finally {
    await world.end()
  }
  screen.out(`${paint(screen.lively, 'green', '✓')} nothing is left but a note of the last address given

That was one CNI ADD, which any runtime can call: a bridge and a veth pair, an address of each family,
masquerade towards the outside and port ${HOST_PORT} of the host to port ${CONTAINER_PORT} of the container, by ${backend}. And one
DEL, after which nothing of that was left.
`)
}

async function perform(world: World, backend: DemoReport['backend'], screen: Terminal): Promise<DemoReport> {
  const sandbox = await step(screen, 'a sandbox: a host, a client on its network, a container', () =>
    makeSandbox(world),
  )
  const { host } = sandbox
  const before = await snapshot(host)
  const answer = await step(
    screen,
    `CNI ADD: a network, and port ${HOST_PORT} for its port ${CONTAINER_PORT}`,
    () => callPlugin(sandbox, 'ADD'),
  )
  const topology = world.draw()
  show(screen, topology)
  const fetched = await fetchPages(sandbox, screen)
  const outside = await reachOutside(sandbox, screen)
  const rules = await rulesOf(host, backend)
  screen.out(`\n${paint(screen.lively, 'bold', `The rules that do it (${backend}):`)}\n`)
  show(screen, rules)
  await step(screen, 'CNI DEL', () => callPlugin(sandbox, 'DEL'))
  const differences = await step(
    screen,
    'the host is compared with what it was: links, rules, files …',
    async () => diff(before, await snapshot(host)),
  )
  return { backend, topology, result: JSON.parse(answer), fetched, outside, rules, ...sorted(differences) }
}

/** From the client and from the host itself, by the host's addresses. */
async function fetchPages({ client, host }: Sandbox, screen: Terminal): Promise<DemoReport['fetched']> {
  const fetched: DemoReport['fetched'] = []
  for (const place of [client, host]) {
    for (const ip of HOST) {
      const url = `http://${ip.includes(':') ? `[${ip}]` : ip}:${HOST_PORT}/`
      const { body } = await step(screen, `the ${place.name} fetches ${url}`, () => place.fetch(url))
      screen.out(`      ${body}\n`)
      fetched.push({ from: place.name, url, body })
    }
  }
  return fetched
}

/** The client knows no way back to the container: it answers whom it sees, and that is the host. */
async function reachOutside({ web }: Sandbox, screen: Terminal): Promise<DemoReport['outside']> {
  const outside: DemoReport['outside'] = {}
  for (const ip of CLIENT) {
    const what = `the container reaches the client at ${ip}`
    const { peer } = await step(screen, what, () => web.ask('tcp', ip, ECHO_PORT))
    screen.out(`      which sees it as ${peer}\n`)
    outside[ip] = peer
  }
  return outside
}

/** Connections that ended are remembered by the kernel for a while, whoever had them. */
function sorted(differences: string[]): Pick<DemoReport, 'remembered' | 'left'> {
  const lasting = differences.filter(line => !line.startsWith('connection '))
  const remembered = lasting.filter(line => line.startsWith('file /var/lib/cni/networks'))
  return { remembered, left: lasting.filter(line => !remembered.includes(line)) }
}

async function makeSandbox(world: World): Promise<Sandbox> {
  const host = await world.host('host')
  const client = await world.host('client')
  const web = await host.namespace('web')
  const withLengths = ([v4, v6]: readonly [string, string]) => [`${v4}/24`, `${v6}/64`] as const
  world.wire([host, 'lan0', ...withLengths(HOST)], [client, 'eth0', ...withLengths(CLIENT)])
  client.listen('tcp', ECHO_PORT)
  web.serveHttp(CONTAINER_PORT, peer => `Hello from the container! You are ${peer}.`)
  return { host, client, web }
}

/** Calls this executable as a container runtime does. */
async function callPlugin({ host, web }: Sandbox, command: 'ADD' | 'DEL'): Promise<string> {
  const { code, stdout, stderr } = await host.run(executable(), {
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'web',
      CNI_NETNS: web.path,
      CNI_IFNAME: 'eth0',
      // What is shown is what a call does by itself.
      TSNET_DAEMON: 'off',
      ...(process.env.TSNET_NAT && { TSNET_NAT: process.env.TSNET_NAT }),
    },
    stdin: JSON.stringify(CONFIG),
    mayFail: true,
  })
  if (code === 0) return stdout
  throw new TsnetError('internal', `CNI ${command} failed`, { details: `${stdout}${stderr}`.trim() })
}

const show = (screen: Terminal, text: string): void =>
  screen.out(`\n${text.trimEnd().replace(/^/gm, '    ')}\n\n`)
