/** Our own files, which a crash, a disk or somebody else may have damaged: a value that holds what it should, or what is wrong. */

import { equal, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Surroundings } from '../../../../src/install/install.ts'
import { RECORD, readRecord } from '../../../../src/install/record.ts'
import { RecordStore } from '../../../../src/ipam/record.ts'
import { parseCidr, parseIp } from '../../../../src/model/address/address.ts'
import { TsnetError } from '../../../../src/model/errors.ts'
import type { Shape } from '../../../../src/model/json/shape.ts'
import { readStored, type Stored } from '../../../../src/model/json/stored.ts'
import { type NatIntent, ownerTag } from '../../../../src/model/network.ts'
import { planRules } from '../../../../src/nat/rules.ts'
import type { Entry } from '../../../../src/records/records.ts'
import {
  chainedShapes,
  entryShape,
  forwardingShape,
  loanShape,
  publicationShape,
} from '../../../../src/records/shapes.ts'
import { readBackup } from '../../../../src/tuning/backup.ts'
import { keyOf, tagOf } from '../../records.ts'
import { ofDocument } from '../documents.ts'
import { FILE_WEIGHT, viaFile } from '../files.ts'
import { subjects } from '../fuzz.ts'

/** What 0.1.0 wrote, by the beginning of the path; what differs from host to host is some number or other. */
function written(start: string): unknown[] {
  const [, ...parts] = readFileSync('test/golden/state-0.1.0/iptables.txt', 'utf8').split(/^== (.*)\n/m)
  return parts.flatMap((path, i) =>
    i % 2 === 0 && path.startsWith(start)
      ? [JSON.parse((parts[i + 1] ?? '').replace(/@(DEVICE|INODE:\w+)@/g, '4').split(/^= /m)[0] ?? '')]
      : [],
  )
}

const WEB = 'b8ddb4471f61d9a6'

/** A file of the run directory: what is wrong is said in a word or two, and what is accepted can be used. */
const ofState = <T>(name: string, samples: unknown[], shape: Shape, use: (value: T) => void = () => {}) =>
  ofDocument<Stored<T>>(name, {
    samples,
    refusals: [TsnetError],
    read: text => readStored<T>(text, shape, '/run/tsnet/x.json'),
    check(stored) {
      if ('value' in stored) use(stored.value)
      else ok(stored.damage.length > 5 && stored.damage.length < 1000, stored.damage)
    },
  })

/** Rules are planned, or refused in words. */
function plan(intent: NatIntent): void {
  try {
    planRules(intent)
  } catch (thrown) {
    if (!(thrown instanceof TsnetError)) throw thrown
  }
}

function useEntry({ attachment }: Entry): void {
  equal(ownerTag(attachment), WEB)
  for (const { address } of attachment.leases) parseCidr(address)
  if (attachment.nat !== undefined) plan(attachment.nat.intent)
}

const LEASE = { ...keyOf('web'), bootId: 'b', addresses: ['10.1.0.2'], netns: { path: '/x', dev: 4, ino: 5 } }

export const ofStateFiles = subjects(
  ofState<Entry>('state/attachment', written(`/run/tsnet/attachments/${WEB}`), entryShape(WEB), useEntry),
  ofState('state/publication', written('/run/tsnet/publications/'), publicationShape, useNat),
  ofState('state/forwarding', written('/run/tsnet/host.json'), forwardingShape),
  ofState('state/portmap', written('/run/tsnet/portmap/'), chainedShapes.portmap),
  ofState('state/firewall', written('/run/tsnet/firewall/'), chainedShapes.firewall),
  ofState(
    'state/loan',
    [{ addresses: ['10.1.0.1/24'], promiscuous: true, settings: [{ name: 'a', value: '1' }] }],
    loanShape,
  ),
  ofDocument<ReturnType<RecordStore['read']>>('state/lease', {
    samples: [LEASE, { format: 1, ...LEASE }],
    refusals: [TsnetError],
    weight: FILE_WEIGHT,
    read: viaFile(`.tsnet/front/${tagOf('web')}`, (_, folder) => new RecordStore(folder).read(keyOf('web'))),
    check: found => {
      if (typeof found === 'object') for (const address of found.addresses) parseIp(address)
    },
  }),
  ofDocument<ReturnType<typeof readBackup>>('state/tuning', {
    samples: written('/run/cni/tuning/'),
    refusals: [],
    weight: FILE_WEIGHT,
    read: viaFile('plain_eth0.json', (_, folder) =>
      readBackup(folder, { containerId: 'plain', ifname: 'eth0' }),
    ),
    check: backup => {
      const { mac, mtu } = backup?.settings ?? {}
      if (mac !== undefined) ok(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac), mac)
      if (mtu !== undefined) ok(Number.isSafeInteger(mtu), `${mtu}`)
    },
  }),
  ofDocument<ReturnType<typeof readRecord>>('state/install', {
    samples: [
      {
        format: 1,
        folders: ['/var/lib/tsnet'],
        entries: [{ kind: 'link', path: '/opt/cni/bin/x', target: '/y' }],
      },
    ],
    refusals: [TsnetError],
    weight: FILE_WEIGHT,
    read: viaFile(RECORD.slice(1), (_, folder) => readRecord(new Surroundings(folder))),
    check: ({ folders, entries }) => ok(Array.isArray(folders) && Array.isArray(entries)),
  }),
)

function useNat({ nat }: { nat?: { ports: NatIntent } }): void {
  if (nat !== undefined) plan(nat.ports)
}
