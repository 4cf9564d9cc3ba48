/**
 * Settings of an interface that another plugin made: what the drop-in `tuning` does.
 *
 *     tune          what it had is written down, then all is set, or nothing
 *     untune        it gets back what it had
 *     checkTuning   is all of it still so
 *     collectTuning what is written down of containers that are no more goes
 *
 * The journal is the reference's own file (tuning/backup.ts): it is there before the first change, so
 * whoever takes the container off the network can give back what a killed attempt changed.
 */

import { type AttachmentKey, ownerTag } from '../model/network.ts'
import { withUndo } from '../model/undo.ts'
import { goneCheck } from '../netns/alive.ts'
import { openContainer, refuseOwn } from '../netns/container.ts'
import { isRecorded, tryOpenNetns } from '../netns/netns.ts'
import type { Context } from '../network/context.ts'
import { refuseProblems } from '../network/mismatch.ts'
import { whileLocked } from '../records/records.ts'
import {
  checkAllowed,
  listOrigins,
  readBackup,
  removeBackup,
  restore,
  settingsNow,
  sysctlNames,
  type Tuning,
  tune as tuneNow,
  tunesLink,
  verifyTuning,
  writeBackup,
} from '../tuning/tuning.ts'

export type { Tuning } from '../tuning/tuning.ts'
export { DATA_DIR } from '../tuning/tuning.ts'

export interface TuneRequest extends AttachmentKey {
  /** Path of the container's namespace. */
  netns: string
  tuning: Tuning
  /** Folder of the files that tell what interfaces had. */
  dataDir: string
}

/** @throws TsnetError; everything is then as it was */
export async function tune(request: TuneRequest, context: Context = {}): Promise<void> {
  const { network, containerId, ifname, tuning, dataDir } = request
  refuseUnfit(request)
  using netns = openContainer(request.netns, context.allowOwnNetns)
  // Awaited here: the namespace stays open until all is done.
  await whileLocked(ownerTag(request), () =>
    withUndo(async undo => {
      if (tunesLink(tuning)) {
        const before = settingsNow(netns, ifname, tuning)
        undo.push('what is written down', () => removeBackup(dataDir, request))
        writeBackup(dataDir, before, {
          network,
          containerId,
          ifname,
          netns: { path: request.netns, ...netns.identity },
        })
      }
      tuneNow(netns, ifname, tuning, undo, context.trace)
    }),
  )
}

/** Whether all of it may be set here. @throws TsnetError `invalid-config` */
export function refuseUnfit({ tuning, ifname }: Pick<TuneRequest, 'tuning' | 'ifname'>): void {
  checkAllowed(tuning.sysctls.map(({ key }) => key))
  for (const { key } of tuning.sysctls) sysctlNames(key, ifname)
}

/**
 * Gives the interface back what it had. Idempotent: succeeds when there is nothing to give back, or nobody
 * to give it to.
 * @throws TsnetError `invalid-netns` when the path leads to our own namespace; what the kernel refused
 */
export async function untune(
  request: Omit<TuneRequest, 'tuning'>,
  { allowOwnNetns = false, trace }: Context = {},
): Promise<void> {
  const { dataDir, ifname } = request
  await whileLocked(ownerTag(request), async () => {
    const backup = readBackup(dataDir, request)
    using netns = backup === undefined || request.netns === '' ? undefined : tryOpenNetns(request.netns)
    const known = backup?.origin?.netns
    // The path may lead to a stranger by now, whose interface has the same name.
    const isSame = known === undefined || (netns !== undefined && isRecorded(netns, known))
    if (backup !== undefined && netns !== undefined && isSame) {
      if (!allowOwnNetns) refuseOwn(netns)
      await restore(netns, ifname, backup.settings, trace)
    }
    // Also where there is none: a killed attempt may have begun to write it.
    removeBackup(dataDir, request)
  })
}

/** @throws TsnetError `mismatch` naming everything that is not as it was set */
export async function checkTuning(request: TuneRequest, context: Context = {}): Promise<void> {
  const { ifname, tuning } = request
  using netns = openContainer(request.netns, context.allowOwnNetns)
  const problems = verifyTuning(netns, ifname, tuning)
  refuseProblems(problems, request)
}

/**
 * Removes what is written down of a network's containers that are no more. Their interfaces are gone.
 * @param valid attachments that live; absent: only those whose namespace is gone go
 */
export async function collectTuning(
  network: string,
  dataDir: string,
  valid: { containerId: string; ifname: string }[] | undefined,
): Promise<void> {
  const isGone = goneCheck()
  for (const origin of listOrigins(dataDir)) {
    if (origin.network !== network) continue
    const lives = valid?.some(
      ({ containerId, ifname }) => containerId === origin.containerId && ifname === origin.ifname,
    )
    if (lives ?? !isGone(origin.netns)) continue
    await whileLocked(ownerTag(origin), () => removeBackup(dataDir, origin))
  }
}
