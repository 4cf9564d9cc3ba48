/**
 * Takes down an attachment in whatever state it is: complete, half made, half taken down, or known by its
 * key alone.
 *
 *     traffic off → rules and link → bridge → conntrack → host ports → addresses
 *
 * The host end goes down first, so that there is no moment in which the container can be reached without
 * its guards. The addresses come last, when no flow and no rule leads to them any more, and stay taken
 * when anything before failed: an address must not be given to another container while something still
 * points to it. Every step is idempotent; all are tried whatever fails.
 */

import { setImmediate } from 'node:timers/promises'
import { disconnect, silence } from '../bridge/bridge.ts'
import { giveBack } from '../ipam/ipam.ts'
import { ipOf } from '../model/address.ts'
import { hasCode } from '../model/errors.ts'
import {
  type AttachmentKey,
  type IpamOptions,
  type NatBackend,
  ownerTag,
  type Undertaking,
} from '../model/network.ts'
import { everyStep, type Step } from '../model/undo.ts'
import { chooseBackend, flushConntrack, withdrawSpoofGuard } from '../nat/nat.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { ifbName, unshape } from '../shaping/shaping.ts'
import type { Context } from './context.ts'
import { releasePorts } from './port-claims.ts'
import { leaveBridge, withdrawRules } from './shared.ts'

/** Takes down what a record speaks of. @throws the error, or an AggregateError, after having tried all */
export async function takeDown(undertaking: Undertaking, { trace }: Context = {}): Promise<void> {
  const { bridgeName, nat, ports, leases, ipam } = undertaking
  const owner = ownerTag(undertaking)
  const addresses = leases.map(lease => ipOf(lease.address))
  await everyStep([
    () => silence(owner, trace),
    () =>
      sideBySide(
        async () => nat && (await withdrawRules(nat.backend, owner, nat.intent)),
        () => undertaking.bandwidth && removeShaping(owner, trace),
        () => leaveBridge(bridgeName, owner, trace),
      ),
    async () => undertaking.macspoofchk && (await withdrawSpoofGuard(nat?.backend, owner)),
    () => flushConntrack(addresses, ports),
    () => releasePorts(owner, ports),
  ])
  await giveBack(ipam, undertaking, undertaking.netns.path)
}

/**
 * Takes down what may be left of an attachment that no record speaks of: its link and its rules carry the
 * owner tag, its leases the container's id.
 */
export async function takeDownUnrecorded(
  key: AttachmentKey,
  ipam: IpamOptions | undefined,
  netnsPath: string | undefined,
  { trace }: Context = {},
): Promise<void> {
  const owner = ownerTag(key)
  await everyStep([
    () => silence(owner, trace),
    () => ifInstalled('iptables', backend => withdrawRules(backend, owner)),
    () => ifInstalled('nftables', backend => withdrawRules(backend, owner)),
    () => ifInstalled('nftables', backend => withdrawSpoofGuard(backend, owner)),
    () => removeShaping(owner, trace),
    () => disconnect({ owner }, trace),
  ])
  if (ipam !== undefined) await giveBack(ipam, key, netnsPath)
}

/**
 * The rules' command and the deletion of the link each wait for the kernel (RCU) some twenty milliseconds.
 * The command is another process: it waits while we do.
 */
async function sideBySide(rules: Step, ...link: Step[]): Promise<void> {
  const begun = Promise.resolve(rules())
  begun.catch(() => {}) // looked at below
  await setImmediate() // the command has been started
  await everyStep([...link, () => begun])
}

/** Where a backend is not installed, nothing was ever made with it. */
async function ifInstalled(backend: NatBackend, work: (backend: NatBackend) => Promise<void>): Promise<void> {
  try {
    chooseBackend(backend)
  } catch (thrown) {
    if (hasCode(thrown, 'missing')) return
    throw thrown
  }
  await work(backend)
}

function removeShaping(owner: string, trace: Context['trace']): void {
  using nl = openNetlink(trace)
  unshape(nl, ifbName(owner))
}
