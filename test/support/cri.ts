/**
 * A client of the Container Runtime Interface, as the kubelet is one: gRPC over HTTP/2 on containerd's
 * socket, with just the calls and fields that put a pod on a network.
 *
 * Numbers of fields: k8s.io/cri-api/pkg/apis/runtime/v1/api.proto.
 */

import { type ClientHttp2Session, connect } from 'node:http2'
import { createConnection } from 'node:net'
import { decode, encode, type Message } from './protobuf.ts'

export interface PodPort {
  protocol: 'tcp' | 'udp' | 'sctp'
  containerPort: number
  hostPort: number
  hostIp?: string
}

export interface Pod {
  name: string
  ports?: PodPort[]
  annotations?: Record<string, string>
}

const PROTOCOLS = { tcp: 0, udp: 1, sctp: 2 }

export class CriClient implements Disposable {
  readonly #session: ClientHttp2Session

  /** @param socket path of containerd's socket */
  constructor(socket: string) {
    this.#session = connect('http://localhost', { createConnection: () => createConnection(socket) })
    this.#session.on('error', () => {}) // each call reports it
  }

  [Symbol.dispose](): void {
    this.#session.destroy()
  }

  /** Starts a pod's sandbox, which is when its network is made. @returns its id */
  async runPod(pod: Pod): Promise<string> {
    const reply = await this.#call('RunPodSandbox', { 1: sandboxConfig(pod) })
    return text(reply, 1)
  }

  /** Starts a container in the pod. @returns its id */
  async runContainer(podId: string, pod: Pod, image: string, command: string[]): Promise<string> {
    const config = { 1: { 1: pod.name }, 2: { 1: image }, 3: command }
    const created = await this.#call('CreateContainer', { 1: podId, 2: config, 3: sandboxConfig(pod) })
    const container = text(created, 1)
    await this.#call('StartContainer', { 1: container })
    return container
  }

  /** Ends and removes a container; its pod goes on. */
  async removeContainer(id: string): Promise<void> {
    await this.#call('StopContainer', { 1: id })
    await this.#call('RemoveContainer', { 1: id })
  }

  /** The addresses that the runtime read from the CNI result, the first one first. */
  async podAddresses(podId: string): Promise<string[]> {
    const reply = await this.#call('PodSandboxStatus', { 1: podId })
    const network = message(message(reply, 1), 5)
    const more = (network.get(2) ?? []).map(address => text(decode(address), 1))
    return [text(network, 1), ...more]
  }

  async removePod(podId: string): Promise<void> {
    await this.#call('StopPodSandbox', { 1: podId })
    await this.#call('RemovePodSandbox', { 1: podId })
  }

  /** One unary call. @throws Error with the runtime's message */
  #call(method: string, request: Message): Promise<Map<number, Buffer[]>> {
    const body = encode(request)
    const head = Buffer.alloc(5) // not compressed, then the length
    head.writeUInt32BE(body.length, 1)
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': `/runtime.v1.RuntimeService/${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      const chunks: Buffer[] = []
      let outcome: Record<string, unknown> = {}
      const note = (headers: Record<string, unknown>) => {
        outcome = { ...outcome, ...headers }
      }
      stream.on('response', note)
      stream.on('trailers', note)
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('error', reject)
      stream.on('close', () => {
        if (outcome['grpc-status'] === '0') resolve(decode(Buffer.concat(chunks).subarray(5)))
        else
          reject(new Error(`${method}: ${decodeURIComponent(String(outcome['grpc-message'] ?? 'no reply'))}`))
      })
      stream.end(Buffer.concat([head, body]))
    })
  }
}

function sandboxConfig(pod: Pod): Message {
  const ports = (pod.ports ?? []).map(port => ({
    1: PROTOCOLS[port.protocol],
    2: port.containerPort,
    3: port.hostPort,
    4: port.hostIp ?? '',
  }))
  const annotations = Object.entries(pod.annotations ?? {}).map(([name, value]) => ({ 1: name, 2: value }))
  return {
    1: { 1: pod.name, 2: `uid-${pod.name}`, 3: 'default' },
    2: pod.name,
    5: ports,
    7: annotations,
    8: {},
  }
}

const message = (fields: Map<number, Buffer[]>, field: number) =>
  decode(fields.get(field)?.[0] ?? Buffer.alloc(0))
const text = (fields: Map<number, Buffer[]>, field: number) => fields.get(field)?.[0]?.toString() ?? ''
