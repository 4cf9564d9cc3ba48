/**
 * What was inspected as people read it: a head, and below it what is known, a name and its value on each line, those of
 * one interface together. What is empty is left out.
 */

import { indented } from '../../model/text/text.ts'
import type {
  AttachmentView,
  Inspected,
  InspectedContainer,
  InspectedNetwork,
  InspectedPort,
} from '../../networks/networks.ts'
import { membersText } from '../../publish/service/service.ts'
import { tableOf } from '../listing/table.ts'
import { arrowOf, hostSide, namesOf, targetSide } from '../publish.ts'
import { paint, type Terminal } from '../terminal.ts'

type Line = readonly [name: string, value: string | readonly string[] | undefined]

/** Heads are bold, and what is wrong is red, where somebody looks. */
export function textOf(each: Inspected, { lively, columns }: Pick<Terminal, 'lively' | 'columns'>): string {
  const head = (kind: string, name: string, more = '') =>
    indented('', `${paint(lively, 'bold', `${kind} ${name}`)}${more === '' ? '' : `  ${more}`}`, columns)
  const linesOf = (lines: readonly Line[], indent = '  ') => linesIn(lines, indent, columns)
  switch (each.type) {
    case 'container':
      return [
        head('container', each.name, aboutContainer(each)),
        linesOf([
          ['addresses', each.otherAddresses],
          ['ports', each.ports.map(describePort)],
        ]),
        ...each.attachments.map(
          attachment =>
            `${indented('  ', `${paint(lively, 'bold', `on ${attachment.network}`)}  ${attachment.state} since ${timeOf(attachment.createdAt)}`, columns)}\n${linesOf(attachmentLines(attachment, lively), '    ')}`,
        ),
      ]
        .filter(text => text !== '')
        .join('\n')
    case 'port':
      return `${head('port', hostSide(each), each.state)}\n${linesOf(portLines(each))}`
    case 'network':
      return `${head('network', each.name)}\n${linesOf(networkLines(each))}${whoIsOn(each, columns)}`
  }
}

const aboutContainer = ({ runtime, id, name, pid }: InspectedContainer): string =>
  [runtime, id === name ? undefined : id, pid === undefined ? undefined : `pid ${pid}`]
    .filter(text => text !== undefined)
    .join(' ')

function attachmentLines(each: AttachmentView, lively: boolean): Line[] {
  const { addresses, routes, hostInterface, bridge, netns, names, domain, nameservers, faults } = each
  const named = domain === undefined ? names : names.map(name => `${name}.${domain}`)
  return [
    ['interface', linkOf(each.interface)],
    [
      'addresses',
      addresses.map(({ address, gateway }) => `${address}${gateway === undefined ? '' : ` via ${gateway}`}`),
    ],
    [
      'routes',
      routes
        .map(({ dst, gw, priority }) => [dst, gw && `via ${gw}`, priority && `metric ${priority}`])
        .map(words => words.filter(Boolean).join(' ')),
    ],
    ['host end', hostInterface && linkOf(hostInterface)],
    ['bridge', linkOf(bridge)],
    [
      'namespace',
      `${netns.path} (inode ${netns.ino}${netns.cookie === undefined ? '' : `, cookie ${netns.cookie}`})`,
    ],
    ['names', named.join(' ')],
    ['name servers', nameservers.join(' ')],
    ['limits', limitsOf(each.bandwidth)],
    ['leases', addresses.flatMap(({ lease }) => lease ?? [])],
    ['rules', each.rules],
    [
      'state',
      faults.length > 0
        ? faults.map(fault => paint(lively, 'red', fault))
        : each.state === 'attached'
          ? 'all as it was made'
          : undefined,
    ],
  ]
}

const linkOf = ({ name, mac, mtu }: { name: string; mac?: string; mtu?: number }): string =>
  [name, mac, mtu === undefined ? undefined : `mtu ${mtu}`].filter(text => text !== undefined).join('  ')

const limitsOf = (limits: AttachmentView['bandwidth']): string | undefined =>
  limits && `${limits.ingressRate} bit/s to it, ${limits.egressRate} bit/s from it (0: none)`

const timeOf = (iso: string): string => iso.slice(0, 19).replace('T', ' ')

const describePort = (port: InspectedContainer['ports'][number]): string =>
  `${hostSide(port)} ${arrowOf(port)} ${targetSide(port)}  ${port.state}${port.by.length > 0 ? ` by ${port.by.join('+')}` : ''}${port.why === undefined ? '' : `: ${port.why}`}`

function portLines(port: InspectedPort): Line[] {
  const { by, why, counters, containers, service, network, source, id, expiresAt, keep } = port
  return [
    [port.reverse ? 'appears on' : 'leads to', `${targetSide(port)} of ${namesOf(port)}`],
    ['members', service && (membersText({ containers, service }) || 'nobody')],
    [
      'asked by',
      { publish: 'tsnet publish', cni: 'a network of tsnet', portmap: 'portmap', docker: 'dockerd' }[source],
    ],
    ['network', network],
    ['served by', by.join('+')],
    ['because', why],
    [
      'traffic',
      counters &&
        `${counters.active} connections now, ${counters.accepted} in all, ${counters.bytesIn} bytes in, ${counters.bytesOut} bytes out, by the proxy`,
    ],
    ['until', expiresAt === undefined ? undefined : timeOf(new Date(expiresAt).toISOString())],
    [
      'kept',
      keep ? 'until it is unpublished: also when its container is gone, and after a reboot' : undefined,
    ],
    ['id', id],
  ]
}

function networkLines(network: InspectedNetwork): Line[] {
  const { file, created, plugins = [], bridge, uplink, pools, subnets = [] } = network
  return [
    ['list', file ?? 'there is none of this name any more'],
    ['made', created === undefined ? file && 'by others' : timeOf(created)],
    ['plugins', plugins.join(' ')],
    ['bridge', bridge],
    ['uplink', uplink],
    [
      'subnets',
      pools.length === 0
        ? subnets
        : pools.map(
            ({ subnet, gateway, used, size }) =>
              `${subnet} via ${gateway}, ${used} of ${size} addresses used`,
          ),
    ],
  ]
}

function whoIsOn({ containers }: InspectedNetwork, columns: number | undefined): string {
  if (containers.length === 0) return '\n  nobody is on it'
  const rows = containers.map(({ name, ifname, addresses, mac = '', state }) => [
    name,
    ifname,
    addresses.join(','),
    mac,
    state,
  ])
  const table = tableOf(['CONTAINER', 'INTERFACE', 'ADDRESSES', 'MAC', 'STATE'], rows, columns && columns - 2)
  return `\n\n${table.replace(/^(?=.)/gm, '  ')}`
}

const WIDTH = 14
/** Where there is less room beside the names, values stand below them. */
const LEAST = 12

/** Each value on a line of its own, below each other; nothing for a name without one. */
function linesIn(lines: readonly Line[], indent: string, columns = Number.POSITIVE_INFINITY): string {
  const isBeside = columns - indent.length - WIDTH >= LEAST
  return lines
    .flatMap(([name, value]) => {
      const values = (typeof value === 'string' ? [value] : (value ?? [])).filter(each => each !== '')
      if (isBeside)
        return values.map((each, index) =>
          indented(`${indent}${(index === 0 ? name : '').padEnd(WIDTH)}`, each, columns),
        )
      return values.length === 0
        ? []
        : [indented(indent, name, columns), ...values.map(each => indented(`${indent}  `, each, columns))]
    })
    .join('\n')
}
