/** What templates can name of whatever is inspected. */

import type { Inspected } from '../../networks/networks.ts'
import type { Listing } from '../listing/listing.ts'
import { hostSide } from '../publish.ts'

const attachmentsOf = (each: Inspected) => (each.type === 'container' ? each.attachments : [])

const joined = (texts: readonly (string | undefined)[]): string =>
  [...new Set(texts.filter(text => text !== undefined && text !== ''))].join(',')

export const LISTING: Listing<Inspected> = {
  columns: [
    { field: 'Type', head: 'TYPE', cell: ({ type }) => type },
    { field: 'Name', head: 'NAME', cell: each => (each.type === 'port' ? hostSide(each) : each.name) },
    { field: 'ID', head: 'ID', cell: each => (each.type === 'network' ? each.name : each.id) },
    {
      field: 'Runtime',
      head: 'RUNTIME',
      cell: each => (each.type === 'container' ? (each.runtime ?? '') : ''),
    },
    {
      field: 'Networks',
      head: 'NETWORKS',
      cell: each => {
        if (each.type === 'network') return each.name
        if (each.type === 'port') return each.network ?? ''
        return joined(attachmentsOf(each).map(({ network }) => network))
      },
    },
    {
      field: 'Addresses',
      head: 'ADDRESSES',
      cell: each => joined(attachmentsOf(each).flatMap(({ addresses }) => addresses.map(one => one.address))),
    },
    {
      field: 'Gateways',
      head: 'GATEWAYS',
      cell: each => {
        if (each.type === 'network') return joined(each.pools.map(({ gateway }) => gateway))
        return joined(attachmentsOf(each).flatMap(({ addresses }) => addresses.map(one => one.gateway)))
      },
    },
    {
      field: 'Subnets',
      head: 'SUBNETS',
      cell: each => (each.type === 'network' ? joined(each.subnets ?? []) : ''),
    },
    { field: 'MAC', head: 'MAC', cell: each => joined(attachmentsOf(each).map(one => one.interface.mac)) },
    {
      field: 'Interface',
      head: 'INTERFACE',
      cell: each => joined(attachmentsOf(each).map(one => one.interface.name)),
    },
    {
      field: 'HostInterface',
      head: 'HOST INTERFACE',
      cell: each => joined(attachmentsOf(each).map(one => one.hostInterface?.name)),
    },
    {
      field: 'Bridge',
      head: 'BRIDGE',
      cell: each =>
        each.type === 'network'
          ? (each.bridge ?? '')
          : joined(attachmentsOf(each).map(({ bridge }) => bridge.name)),
    },
    {
      field: 'Netns',
      head: 'NETNS',
      cell: each => joined(attachmentsOf(each).map(({ netns }) => netns.path)),
    },
    {
      field: 'Ports',
      head: 'PORTS',
      cell: each => {
        if (each.type === 'container') return joined(each.ports.map(hostSide))
        return each.type === 'port' ? hostSide(each) : ''
      },
    },
    {
      field: 'State',
      head: 'STATE',
      cell: each =>
        each.type === 'port' ? each.state : joined(attachmentsOf(each).map(({ state }) => state)),
    },
    {
      field: 'Faults',
      head: 'FAULTS',
      cell: each => joined(attachmentsOf(each).flatMap(({ faults }) => faults)),
    },
  ],
  filters: {},
  nameOf: each => (each.type === 'port' ? hostSide(each) : each.name),
}
