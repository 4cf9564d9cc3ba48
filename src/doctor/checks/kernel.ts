/** What the kernel has to have for what is published. */

import { existsSync, readFileSync } from 'node:fs'
import { familyOf } from '../../model/address/address.ts'
import type { Check, Found } from '../fault.ts'
import type { Patient } from '../patient.ts'
import { portName } from './listening.ts'

export const kernel: Check<Patient> = {
  name: 'kernel',
  about: 'the kernel has what networks and ports need: SCTP, IPv6, connection tracking',
  look: patient => [...protocols(patient), ...families(patient), ...tracking(patient)],
}

/** A module may come by itself, once somebody opens such a socket. */
const isKnown = (protocol: string): boolean => {
  try {
    return new RegExp(`^${protocol}\\s`, 'im').test(readFileSync('/proc/net/protocols', 'utf8'))
  } catch {
    return true
  }
}

const protocols = ({ ports }: Patient): Found[] =>
  ports
    .filter(({ protocol }) => protocol === 'sctp' && !isKnown('SCTP'))
    .map(port => ({
      on: portName(port),
      what: 'this kernel has no SCTP (CONFIG_IP_SCTP, module sctp)',
      why: 'nobody on this host can listen on the port, neither a container nor the proxy',
      cure: 'modprobe sctp; where there is no such module, SCTP runs on another kernel alone',
    }))

function families({ networks }: Patient): Found[] {
  if (existsSync('/proc/sys/net/ipv6')) return []
  return networks
    .filter(({ subnets }) => subnets.some(subnet => familyOf(subnet) === 6))
    .map(({ name }) => ({
      on: `network ${name}`,
      what: 'it has an IPv6 subnet, and this kernel runs without IPv6',
      why: 'containers cannot be attached to it',
      cure: 'boot without ipv6.disable=1, or take the subnet out of the list',
    }))
}

function tracking({ attached }: Patient): Found[] {
  const translated = attached.some(({ attachment }) => attachment.nat !== undefined)
  if (!translated || existsSync('/proc/sys/net/netfilter/nf_conntrack_max')) return []
  return [
    {
      on: 'this host',
      what: 'connections are not tracked (module nf_conntrack)',
      why: 'nothing is masqueraded, and no port is led to a container',
      cure: 'modprobe nf_conntrack',
    },
  ]
}
