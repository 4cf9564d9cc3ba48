/** Who has a port instead: a process of the host that listens on it beside our rules, or where nothing is published. */

import type { PortMapping, Protocol } from '../../model/port-mapping.ts'
import { type Holder, holderOf } from '../../ports/probe.ts'
import type { ListedPort } from '../../publish/list.ts'
import type { Check, Found } from '../fault.ts'
import type { Patient } from '../patient.ts'
import { portName } from './listening.ts'

export const holders: Check<Patient> = {
  name: 'holders',
  about: 'no other process listens on a published port, and the port that was asked about is published',
  look: patient => [...unpublished(patient), ...patient.ports.flatMap(port => beside(port, patient))],
}

function unpublished({ subject, ports }: Patient): Found[] {
  if (subject.kind !== 'port' || ports.length > 0) return []
  const { port, protocol } = subject
  const protocols: Protocol[] = protocol === undefined ? ['tcp', 'udp'] : [protocol]
  const holder = protocols.flatMap(each => holderOf(each, port) ?? [])[0]
  return [
    {
      on: `port ${port}${protocol === undefined ? '' : `/${protocol}`}`,
      what: 'nobody publishes it',
      why:
        holder === undefined
          ? 'clients are refused'
          : `${holder.name} (pid ${holder.pid}) answers on this host`,
      cure: `tsnet publish ${port}:PORT CONTAINER${holder === undefined ? '' : ', once that process has ended'}`,
    },
  ]
}

/** Of a long range, so many are looked at. */
const PORTS_MAX = 32

/** Runtimes that listen on ports of their containers themselves, and their proxies. */
const KEEPERS = /^(tsnet|node|MainThread|conmon|podman|docker-proxy|rootlessport|dockerd)/

function beside(port: ListedPort, { daemon }: Patient): Found[] {
  // What the proxy holds, no other process has.
  if (port.by.includes('proxy') || !port.by.some(each => each === 'iptables' || each === 'nftables'))
    return []
  const holder = firstHolder(port)
  if (holder === undefined || (daemon.kind === 'running' && holder.pid === String(daemon.pid))) return []
  if (KEEPERS.test(holder.name) && port.source !== 'publish') return []
  return [
    {
      on: portName(port),
      what: `${holder.name} (pid ${holder.pid}) listens on it`,
      why: 'clients on this host speak with that process, and others with the container',
      cure: 'end that process, or publish the container on another port',
    },
  ]
}

function firstHolder({
  protocol,
  hostPort,
  count,
}: Pick<PortMapping, 'protocol' | 'hostPort' | 'count'>): Holder | undefined {
  for (let offset = 0; offset < Math.min(count, PORTS_MAX); offset++) {
    const holder = holderOf(protocol, hostPort + offset)
    if (holder !== undefined) return holder
  }
  return undefined
}
