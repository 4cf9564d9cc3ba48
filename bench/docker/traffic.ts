/** What is sent to a container: by another one on its network, from outside, and from the host on loopback. */

import { writeFileSync } from 'node:fs'
import { type Place, waitFor } from '../../src/lab/lab.ts'
import { HOST, NETWORK, type Side, type Work } from './sides.ts'

const SECONDS = '1'
const KEPT = 64
/** Ports are published as what they are in the container. */
const PORTS = { http: 80, iperf: 5201 } as const
/** What wavers by itself from one run to the next. */
const NOT_LESS = { atLeast: 0.95 }

const NGINX = `
worker_processes 1; pid /run/nginx/pid; error_log /dev/null; daemon off;
events { worker_connections 1000; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path /run/nginx/a; proxy_temp_path /run/nginx/b; fastcgi_temp_path /run/nginx/c;
  uwsgi_temp_path /run/nginx/d; scgi_temp_path /run/nginx/e;
  server { listen 80 backlog=4096; location / { return 200 "hello from the container\\n"; } }
}`

/** A container that serves, and one that asks. Their programs are the host's, in the network namespaces of the containers. */
export async function openServer(side: Side): Promise<void> {
  const { docker, host, namespaces } = side
  const ports = Object.values(PORTS).flatMap(port => ['-p', `${port}:${port}`])
  await docker.idle('server', '--network', NETWORK, ...ports)
  await docker.idle('asker', '--network', NETWORK)
  for (const name of ['server', 'asker']) namespaces[name] = `/proc/${await docker.pid(name)}/ns/net`
  await host.run('mkdir', '-p', '/run/nginx')
  writeFileSync(host.path('/run/nginx/conf'), NGINX)
  host.start(...within(side, 'server'), 'nginx', '-e', '/dev/null', '-c', '/run/nginx/conf')
  host.start(...within(side, 'server'), 'iperf3', '-s')
  await waitFor(() => side.client.fetch(`http://${HOST}:${PORTS.http}/`), { what: 'nginx to answer' })
  const few = () => side.client.run('iperf3', '-c', HOST, '-p', String(PORTS.iperf), '-n', '1K')
  await waitFor(few, { what: 'iperf3 to answer' })
}

export async function closeServer({ docker }: Side): Promise<void> {
  await docker.run('rm', '-f', 'server', 'asker')
}

const within = ({ namespaces }: Side, name: string): ['nsenter', string] => [
  'nsenter',
  `--net=${namespaces[name]}`,
]

/** Where a client is, what it puts before its words, and whom it asks. */
interface From {
  name: string
  of(side: Side): Promise<{ place: Place; before: string[]; ip: string }>
}

const FROM: readonly From[] = [
  {
    name: 'between two containers',
    of: async side => {
      const format = `{{with index .NetworkSettings.Networks "${NETWORK}"}}{{.IPAddress}}{{end}}`
      const ip = await side.docker.run('inspect', '--format', format, 'server')
      return { place: side.host, before: within(side, 'asker'), ip }
    },
  },
  { name: 'from outside', of: async ({ client }) => ({ place: client, before: [], ip: HOST }) },
  { name: 'on loopback', of: async ({ host }) => ({ place: host, before: [], ip: '127.0.0.1' }) },
]

async function stream(from: From, side: Side): Promise<number> {
  const { place, before, ip } = await from.of(side)
  const words = ['iperf3', '-c', ip, '-p', String(PORTS.iperf), '-t', SECONDS, '-J']
  const { end } = JSON.parse((await place.run('env', ...before, ...words)).stdout)
  return end.sum_received.bits_per_second / 1e9
}

async function requests(from: From, side: Side, ...more: string[]): Promise<number> {
  const { place, before, ip } = await from.of(side)
  const words = ['wrk', '-t1', `-c${KEPT}`, `-d${SECONDS}s`, ...more, `http://${ip}:${PORTS.http}/`]
  const { stdout } = await place.run('env', ...before, ...words)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
}

export const TRAFFIC: readonly Work[] = FROM.flatMap((from): Work[] => [
  {
    name: `one stream ${from.name}`,
    unit: 'Gbit/s',
    limit: NOT_LESS,
    measure: side => stream(from, side),
  },
  {
    name: `requests on ${KEPT} kept connections ${from.name}`,
    unit: '1/s',
    limit: NOT_LESS,
    measure: side => requests(from, side),
  },
  {
    name: `a connection a request ${from.name}`,
    unit: '1/s',
    limit: NOT_LESS,
    measure: side => requests(from, side, '-H', 'Connection: close'),
  },
])
