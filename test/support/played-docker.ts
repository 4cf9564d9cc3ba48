/** Plays dockerd: calls the drivers as it does, and puts containers on their networks as it does. */

import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { resolve } from 'node:path'
import { type Host, type Namespace, type Running, waitFor } from 'tsnet/lab'

const PLAYER = resolve('dist/lib/test/support/play-docker-calls.js')
const DRIVERS = '/run/tsnet/docker.sock'

export interface Answer {
  status: number
  body: Record<string, unknown> & { Err?: string }
}

export interface Endpoint {
  network: string
  id: string
  address: string
  mac: string
}

interface Joined {
  InterfaceName: { SrcName: string; DstPrefix: string }
  Gateway?: string
  GatewayIPv6?: string
}

export const newId = (): string => randomBytes(32).toString('hex')

export class PlayedDocker {
  readonly host: Host
  readonly #process: Running
  readonly #socket: string

  private constructor(host: Host, process: Running, socket: string) {
    this.host = host
    this.#process = process
    this.#socket = socket
  }

  static async start(host: Host): Promise<PlayedDocker> {
    const socket = `/run/player-${randomBytes(4).toString('hex')}.sock`
    const process = host.start('node', PLAYER, socket, DRIVERS)
    await waitFor(() => process.stdout.includes('ready'), {
      what: 'the player to be ready',
      withinMs: 60_000,
    })
    return new PlayedDocker(host, process, socket)
  }

  /** As SIGKILL of dockerd. */
  async kill(): Promise<void> {
    await this.#process.stop('SIGKILL')
    await this.host.run('rm', '-f', this.#socket)
  }

  /** One call, whatever is answered; a text is sent as it is. */
  try(call: string, body: object | string = ''): Promise<Answer> {
    return new Promise((done, failed) => {
      const options = {
        socketPath: this.host.path(this.#socket),
        path: `/${call}`,
        method: 'POST',
        agent: false,
      }
      const asking = request(options, response => {
        let text = ''
        response.on('data', part => (text += part))
        response.on('end', () => done({ status: response.statusCode ?? 0, body: JSON.parse(text || '{}') }))
        response.on('error', failed)
      })
      asking.on('error', failed)
      asking.end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  }

  /** As `try`; where no answer comes it asks again, as dockerd does. @throws Error with what was answered, where that is an error */
  async call(call: string, body: object = {}): Promise<Record<string, unknown>> {
    const answer = await waitFor(() => this.try(call, body), {
      what: `an answer to ${call}`,
      withinMs: 60_000,
    })
    if (answer.status === 200 && answer.body.Err === undefined) return answer.body
    throw new Error(`${call}: ${answer.status} ${answer.body.Err}`)
  }

  /** `docker network create -d tsnet --ipam-driver tsnet`. @returns its id, and of its pool */
  async network(
    options: Record<string, string> = {},
    {
      pool,
      gateway,
      internal,
      ipam = {},
    }: { pool?: string; gateway?: string; internal?: boolean; ipam?: object } = {},
  ): Promise<{ id: string; pool: string; subnet: string }> {
    const wanted = { AddressSpace: 'tsnet', Pool: pool ?? '', SubPool: '', Options: ipam, V6: false }
    const { PoolID, Pool } = await this.call('IpamDriver.RequestPool', wanted)
    const { Address } = await this.call('IpamDriver.RequestAddress', {
      PoolID,
      Address: gateway ?? '',
      Options: { RequestAddressType: 'com.docker.network.gateway' },
    })
    const id = newId()
    await this.call('NetworkDriver.CreateNetwork', {
      NetworkID: id,
      Options: {
        'com.docker.network.enable_ipv6': false,
        ...(internal && { 'com.docker.network.internal': true }),
        'com.docker.network.generic': options,
      },
      IPv4Data: [{ AddressSpace: 'tsnet', Pool, Gateway: Address, AuxAddresses: {} }],
      IPv6Data: [],
    })
    return { id, pool: String(PoolID), subnet: String(Pool) }
  }

  /** What `docker run` asks before there is a container. */
  async endpoint(
    { id: network, pool }: { id: string; pool: string },
    { ip = '', mac = '' }: { ip?: string; mac?: string } = {},
  ): Promise<Endpoint> {
    const { Address } = await this.call('IpamDriver.RequestAddress', {
      PoolID: pool,
      Address: ip,
      Options: {},
    })
    const id = newId()
    const answer = await this.call('NetworkDriver.CreateEndpoint', {
      NetworkID: network,
      EndpointID: id,
      Interface: { Address, AddressIPv6: '', MacAddress: mac },
      Options: {},
    })
    const { MacAddress = mac } = answer.Interface as { MacAddress?: string }
    return { network, id, address: String(Address), mac: MacAddress }
  }

  /** Join, and what dockerd does with what it is told. */
  async join(endpoint: Endpoint, container: Namespace, ifname = 'eth0'): Promise<Joined> {
    const path = `/run/netns/${container.name}`
    const joined = (await this.call('NetworkDriver.Join', {
      NetworkID: endpoint.network,
      EndpointID: endpoint.id,
      SandboxKey: path,
      Options: {},
    })) as unknown as Joined
    const { SrcName } = joined.InterfaceName
    await this.host.run('ip', 'link', 'set', 'dev', SrcName, 'netns', container.name)
    await container.run('ip', 'link', 'set', 'dev', SrcName, 'name', ifname)
    await container.run('ip', 'address', 'add', endpoint.address, 'dev', ifname)
    await container.run('ip', 'link', 'set', 'dev', ifname, 'address', endpoint.mac, 'up')
    if (joined.Gateway !== undefined)
      await container.run('ip', 'route', 'add', 'default', 'via', joined.Gateway)
    return joined
  }

  /** As `docker run`. */
  async run(network: { id: string; pool: string }, container: Namespace): Promise<Endpoint> {
    const endpoint = await this.endpoint(network)
    await this.join(endpoint, container)
    return endpoint
  }

  /** `-p` of one port. */
  async publish({ network, id }: Endpoint, hostPort: number, port: number): Promise<void> {
    const binding = { Proto: 6, IP: '', Port: port, HostIP: '', HostPort: hostPort, HostPortEnd: hostPort }
    await this.call('NetworkDriver.ProgramExternalConnectivity', {
      NetworkID: network,
      EndpointID: id,
      Options: { 'com.docker.network.portmap': [binding] },
    })
  }

  /** What dockerd asks when a container goes, in its order. */
  async leave({ network, id }: Endpoint): Promise<void> {
    const which = { NetworkID: network, EndpointID: id }
    for (const call of ['RevokeExternalConnectivity', 'Leave', 'DeleteEndpoint'])
      await this.call(`NetworkDriver.${call}`, which)
  }

  async removeNetwork({ id, pool }: { id: string; pool: string }): Promise<void> {
    await this.call('NetworkDriver.DeleteNetwork', { NetworkID: id })
    await this.call('IpamDriver.ReleasePool', { PoolID: pool })
  }
}
