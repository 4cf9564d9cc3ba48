/** `tsnet egress set`: another list of whom a container may reach that lives. */

import { changeReach } from '../../control/change-reach.ts'
import { ignoreSignals } from '../../ffi/signals.ts'
import { type AskedReach, byEntry, entryText, permissionText } from '../../model/address/reach.ts'
import { TsnetError } from '../../model/errors.ts'
import { type Attachment, nameOfAttached } from '../../model/network.ts'
import { type Changed, foreseeChange } from '../../network/reach/change.ts'
import { permissionFor } from '../../network/reached.ts'
import { type Member, membersOf } from '../../networks/inspect/members.ts'
import { hostOf } from '../../networks/networks.ts'
import { readEntries } from '../../networks/wish/wish.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import type { Terminal } from '../terminal.ts'

export interface SetOptions {
  deny?: true
  open?: true
  network?: string
  interface?: string
  confDir?: string
  json?: true
  dryRun?: true
}

/** Changes it, and says what it is now and what has ended. */
export async function set(
  terminal: Terminal,
  word: string,
  entries: readonly string[],
  { json, dryRun, confDir, ...options }: SetOptions,
): Promise<void> {
  const asked = readAsked(entries, options)
  requireRunDirectory()
  const { owner } = only(word, await membersOf(word), options)
  const folder = { confDir: hostOf(process.env, confDir).confDir }
  const output = { isJson: json === true, isDry: dryRun === true }
  if (output.isDry) return print(terminal, foreseeChange(owner, asked, folder), output)
  // What is begun is finished.
  ignoreSignals('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE')
  print(terminal, await changeReach(owner, asked, folder), output)
}

/** @returns undefined for everybody. @throws TsnetError `invalid-environment` */
function readAsked(
  entries: readonly string[],
  { deny = false, open = false }: { deny?: boolean; open?: boolean },
): AskedReach | undefined {
  const words = [...entries, ...(deny ? ['deny'] : []), ...(open ? ['open'] : [])]
  // What printed nothing (`$(tsnet egress learn …)`) is no wish that nobody be reached.
  if (words.length === 0)
    throw new TsnetError(
      'invalid-environment',
      'say whom it may reach: entries such as 192.0.2.7:443, or --deny for nobody, or --open for everybody',
    )
  if (words.length === 1 && words[0] === 'open') return undefined
  if (words.includes('open'))
    throw new TsnetError(
      'invalid-environment',
      'open is everybody, so there is nothing for another entry to say',
    )
  return { allow: readEntries(words, 'egress set') }
}

/** @throws TsnetError `invalid-environment` where it could be several */
function only(
  word: string,
  members: readonly Member[],
  { network, interface: ifname }: Pick<SetOptions, 'network' | 'interface'>,
): Member {
  const meant = members.filter(
    ({ attachment }) =>
      (network === undefined || attachment.network === network) &&
      (ifname === undefined || attachment.ifname === ifname),
  )
  const [one, other] = meant
  if (one !== undefined && other === undefined) return one
  const all = members.map(({ attachment }) => `${attachment.network} (${attachment.ifname})`).join(', ')
  throw new TsnetError(
    'invalid-environment',
    one === undefined
      ? `${word} has no such interface; it is on ${all}`
      : `${word} is on ${all}: say which with --network or --interface, one after the other`,
  )
}

function print(
  terminal: Terminal,
  { attachment, ended }: Changed,
  { isJson, isDry }: { isJson: boolean; isDry: boolean },
): void {
  const list = listOf(attachment)
  const gone = [...new Set(ended.map(each => permissionText(permissionFor(each))))]
  if (isJson) {
    const { containerId, network, ifname } = attachment
    const told = {
      containerId,
      name: nameOfAttached(attachment),
      network,
      ifname,
      allow: list ?? null,
      ended: gone,
    }
    terminal.out(`${JSON.stringify(told)}\n`)
    return
  }
  const { network, ifname } = attachment
  const who = `${nameOfAttached(attachment)} ${ifname} ${network}`
  const whom = list === undefined ? 'everybody' : list.length === 0 ? 'nobody' : list.join(' ')
  terminal.out(isDry ? `would let ${who} reach ${whom}\n` : `${who} ${whom}\n`)
  for (const each of gone) terminal.out(`${isDry ? 'would end' : 'ended'} ${each}\n`)
}

const listOf = ({ reach }: Attachment): string[] | undefined => reach && byEntry(reach.allow).map(entryText)
