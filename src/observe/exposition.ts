/**
 * Counters as Prometheus reads them: names, units and labels by its conventions (base units, `_total` for what only grows,
 * `receive` being what came to a container, or from the clients of a port).
 *
 * A series is made of each port and each container, as many as SERIES_MAX of either; how many are left out is a number of
 * its own. Labels are what tells a thing apart for as long as it lives, so the set is bounded by what there is.
 *
 * Printed here and not by `prom-client`: it keeps the values of series, which would have to be taken from it and given anew
 * for each answer, since what there is is what was counted just now; what is left for it to do are the thirty lines at
 * the end. It takes three times as long to load (37 ms of a processor) and brings tracing and quantiles that nobody
 * asks for. `promtool check metrics` of Debian has nothing to say of the text, whatever names containers have.
 *
 * Source: prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4; prometheus.io/docs/practices/naming.
 */

import { describeHostPorts } from '../model/port-mapping.ts'
import { VERSION } from '../model/version.ts'
import type { ContainerCounts, CountersReport, PortCounts } from './observe.ts'

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Of ports, and of containers, that have series of their own. */
export const SERIES_MAX = 1_000

type Labels = Record<string, string>

interface Family<T> {
  name: string
  help: string
  type: 'counter' | 'gauge'
  samples: (one: T) => { value: number; labels?: Labels }[]
}

const one = (value: number): { value: number }[] => [{ value }]

const OF_PORTS: Family<PortCounts>[] = [
  {
    name: 'tsnet_port_connections_total',
    help: 'Connections and UDP sessions begun.',
    type: 'counter',
    samples: port => one(port.connections),
  },
  {
    name: 'tsnet_port_active_connections',
    help: 'Connections and UDP sessions that the proxy serves now.',
    type: 'gauge',
    samples: port => one(port.active),
  },
  {
    name: 'tsnet_port_refused_connections_total',
    help: 'Clients turned away, because of their source or a limit.',
    type: 'counter',
    samples: port => [
      { value: port.denied, labels: { reason: 'source' } },
      { value: port.refused - port.denied, labels: { reason: 'limit' } },
    ],
  },
  {
    name: 'tsnet_port_dropped_total',
    help: 'Connections that no target took, and datagrams that could not be sent on.',
    type: 'counter',
    samples: port => one(port.dropped),
  },
  {
    name: 'tsnet_port_evicted_sessions_total',
    help: 'UDP sessions ended to make room for others.',
    type: 'counter',
    samples: port => one(port.evicted),
  },
  {
    name: 'tsnet_port_receive_bytes_total',
    help: 'Bytes from clients through the proxy.',
    type: 'counter',
    samples: port => one(port.bytesIn),
  },
  {
    name: 'tsnet_port_transmit_bytes_total',
    help: 'Bytes to clients through the proxy.',
    type: 'counter',
    samples: port => one(port.bytesOut),
  },
  {
    name: 'tsnet_port_receive_datagrams_total',
    help: 'Datagrams from clients through the proxy.',
    type: 'counter',
    samples: port => one(port.packetsIn),
  },
  {
    name: 'tsnet_port_transmit_datagrams_total',
    help: 'Datagrams to clients through the proxy.',
    type: 'counter',
    samples: port => one(port.packetsOut),
  },
]

const OF_CONTAINERS: Family<ContainerCounts>[] = [
  {
    name: 'tsnet_container_receive_bytes_total',
    help: 'Bytes that an interface of a container has received.',
    type: 'counter',
    samples: each => one(each.bytesIn),
  },
  {
    name: 'tsnet_container_transmit_bytes_total',
    help: 'Bytes that an interface of a container has sent.',
    type: 'counter',
    samples: each => one(each.bytesOut),
  },
  {
    name: 'tsnet_container_receive_packets_total',
    help: 'Packets that an interface of a container has received.',
    type: 'counter',
    samples: each => one(each.packetsIn),
  },
  {
    name: 'tsnet_container_transmit_packets_total',
    help: 'Packets that an interface of a container has sent.',
    type: 'counter',
    samples: each => one(each.packetsOut),
  },
  {
    name: 'tsnet_container_dropped_packets_total',
    help: "Packets that the host's end of a container's link has dropped.",
    type: 'counter',
    samples: each => one(each.dropped),
  },
  {
    name: 'tsnet_container_denied_packets_total',
    help: 'Packets of a container that its list of whom it may reach has dropped.',
    type: 'counter',
    samples: each => (each.denied === undefined ? [] : one(each.denied)),
  },
]

const portLabels = (port: PortCounts): Labels => ({
  port: describeHostPorts(port),
  container: port.containers.map(({ name }) => name).join(','),
  source: port.source,
  // What appears in a container may do so on several of its ports.
  ...(port.reverse !== undefined && { reverse: String(port.reverse) }),
})

const containerLabels = ({ network, name, id, ifname }: ContainerCounts): Labels => ({
  network,
  container: name,
  id,
  interface: ifname,
})

/** All of a report as one text. */
export function expositionOf({ ports, containers }: CountersReport): string {
  const whole = (value: number) => () => one(value)
  const [somePorts, someContainers] = [ports.slice(0, SERIES_MAX), containers.slice(0, SERIES_MAX)]
  const omitted = [
    { kind: 'port', value: ports.length - somePorts.length },
    { kind: 'container', value: containers.length - someContainers.length },
  ]
  const general: Family<unknown>[] = [
    {
      name: 'tsnet_build_info',
      help: 'The version that runs.',
      type: 'gauge',
      samples: () => [{ value: 1, labels: { version: VERSION } }],
    },
    { name: 'tsnet_ports', help: 'Ports that are served.', type: 'gauge', samples: whole(ports.length) },
    {
      name: 'tsnet_attachments',
      help: 'Interfaces of containers on networks.',
      type: 'gauge',
      samples: whole(containers.length),
    },
    {
      name: 'tsnet_omitted_series',
      help: 'Ports and containers without series of their own.',
      type: 'gauge',
      samples: () => omitted.map(({ kind, value }) => ({ value, labels: { kind } })),
    },
  ]
  const lines = [
    ...general.flatMap(family => linesOf(family, [undefined], () => ({}))),
    ...OF_PORTS.flatMap(family => linesOf(family, somePorts, portLabels)),
    ...OF_CONTAINERS.flatMap(family => linesOf(family, someContainers, containerLabels)),
  ]
  return `${lines.join('\n')}\n`
}

function linesOf<T>(
  { name, help, type, samples }: Family<T>,
  all: readonly T[],
  labelsOf: (one: T) => Labels,
) {
  if (!all.some(each => samples(each).length > 0)) return []
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...all.flatMap(each => {
      const labels = labelsOf(each)
      return samples(each).map(sample => `${name}${braced({ ...labels, ...sample.labels })} ${sample.value}`)
    }),
  ]
}

function braced(labels: Labels): string {
  const all = Object.entries(labels).map(([key, value]) => `${key}="${escaped(value)}"`)
  return all.length === 0 ? '' : `{${all.join(',')}}`
}

const escaped = (text: string): string =>
  text.replace(/[\\"\n]/g, found => (found === '\n' ? '\\n' : `\\${found}`))
