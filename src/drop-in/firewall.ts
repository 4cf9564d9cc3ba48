/**
 * What the drop-in plugin firewall does: packets of a container that another plugin has attached are let
 * through, and those between bridges kept out where that is asked for.
 */

import type { FirewallBackend, FirewallIntent, FirewallRecord } from '../model/chained.ts'
import { TsnetError } from '../model/errors.ts'
import { type AttachmentKey, ownerTag } from '../model/network.ts'
import { everyStep, withUndo } from '../model/undo.ts'
import { findIptables } from '../nat/iptables/run.ts'
import {
  allow,
  disallow,
  disallowGone,
  isFirewalldRunning,
  openBridge,
  tidyFamilies,
  tidyFirewall,
  verifyFirewall,
} from '../nat/reference/firewall.ts'
import { refuseProblems } from '../network/mismatch.ts'
import { judgeLetThrough, warn } from '../ports/foreign-rules.ts'
import { interfaceTo } from '../ports/localnet.ts'
import { listRecords, readRecord, removeRecord, writeRecord } from '../records/chained.ts'
import { addUser, isLastUser, listUsers, removeUser, whileLocked } from '../records/records.ts'
import { type ChainedCall, recordOf, recordsToCollect } from './drop-in.ts'
import { nobodysCheck } from './nobodys.ts'

export interface FirewallRequest extends ChainedCall {
  /** Absent: firewalld where it runs, else iptables. */
  backend?: FirewallBackend
  /** Of firewalld. */
  zone: string
  intent: FirewallIntent
}

/** Rules of all containers are changed one after the other. */
const LOCK = 'firewall'
const USERS = 'firewall'

const choose = async (asked: FirewallBackend | undefined): Promise<FirewallBackend> =>
  asked ?? ((await isFirewalldRunning()) ? 'firewalld' : 'iptables')

/** @throws TsnetError; the host is then as it was before */
export async function letThrough(request: FirewallRequest): Promise<void> {
  const { intent, zone } = request
  const backend = await choose(request.backend)
  const record: FirewallRecord = { ...recordOf(request), backend, intent, zone }
  const owner = ownerTag(request)
  await whileLocked(LOCK, async () => {
    const earlier = readRecord('firewall', owner)
    if (earlier !== undefined) await takeBack(earlier)
    await withUndo(async undo => {
      undo.push('the rules', () => takeBack(record))
      writeRecord('firewall', owner, record)
      addUser(USERS, owner)
      await allow(record)
    })
  })
  const { addresses } = intent
  const bridge = addresses[0] && interfaceTo(addresses[0])
  const obstacle = bridge && judgeLetThrough({ bridge, addresses, ports: [] }, true)
  if (obstacle !== undefined) warn(`container ${request.containerId} on network ${request.network}`, obstacle)
}

/** Takes back what a record speaks of, as far as it is there. To be called under the lock. */
async function takeBack(record: FirewallRecord): Promise<void> {
  const owner = ownerTag(record)
  const { bridge, ingressPolicy } = record.intent
  await everyStep([
    () => disallow(record),
    () => {
      if (ingressPolicy === 'open') return undefined
      const others = listRecords('firewall').filter(other => ownerTag(other) !== owner)
      return openBridge(
        record,
        others.filter(({ intent }) => intent.bridge === bridge),
      )
    },
    () => (isLastUser(USERS, owner) ? tidyFirewall(record) : undefined),
  ])
  removeUser(USERS, owner)
  removeRecord('firewall', owner)
}

/**
 * Idempotent: with a record or without one, after this plugin or the reference's.
 * @param hint what the configuration and the result say, used where no record does; undefined where they
 *   cannot be read: the rules tell nothing of the container
 * @throws what could not be taken back, after having tried everything
 */
export async function letThroughNoMore(
  key: AttachmentKey,
  hint?: Pick<FirewallRequest, 'backend' | 'zone' | 'intent'>,
): Promise<void> {
  const owner = ownerTag(key)
  await whileLocked(LOCK, async () => {
    const record = readRecord('firewall', owner)
    if (record !== undefined) return takeBack(record)
    // Of one whose record was damaged.
    removeUser(USERS, owner)
    if (hint === undefined || hint.intent.addresses.length === 0) return
    const backend = await choose(hint.backend)
    const made = { backend, zone: hint.zone, intent: hint.intent }
    await everyStep([
      () => disallow(made),
      () =>
        openBridge(
          made,
          listRecords('firewall').filter(({ intent }) => intent.bridge === hint.intent.bridge),
        ),
      () => (listUsers(USERS).length === 0 ? tidyFirewall(made) : undefined),
    ])
  })
}

/** @throws TsnetError `mismatch` naming everything that is not as it was made */
export async function checkFirewall(request: FirewallRequest): Promise<void> {
  const backend = readRecord('firewall', ownerTag(request))?.backend ?? (await choose(request.backend))
  const problems = await verifyFirewall({ ...request, backend })
  refuseProblems(problems, request, `rules of ${request.containerId}`)
}

/**
 * @param valid attachments that live; all others of this network go. Absent: only what is provably dead
 *   goes, and so does in either case what the reference plugin made for addresses that nobody has any more.
 */
export async function collectFirewall(
  network: string,
  valid: { containerId: string; ifname: string }[] | undefined,
): Promise<void> {
  await whileLocked(LOCK, () =>
    everyStep([
      ...recordsToCollect('firewall', network, valid).map(record => () => takeBack(record)),
      async () => {
        await disallowGone(nobodysCheck(network, valid))
        if (listUsers(USERS).length === 0) await tidyFamilies()
      },
    ]),
  )
}

/** @throws TsnetError `missing`: the backend is not there */
export async function firewallStatus(asked: FirewallBackend | undefined): Promise<void> {
  const backend = await choose(asked)
  if (backend === 'firewalld' && !(await isFirewalldRunning())) {
    throw new TsnetError('missing', 'backend is "firewalld", but firewalld is not on the system bus')
  }
  if (backend === 'iptables' && findIptables(4) === undefined) {
    throw new TsnetError('missing', 'iptables: no iptables-restore command is there', {
      details: 'install iptables',
    })
  }
}
