/** One side of a link whose kernel plays a script. */

import type { Side } from '../../src/bridge/side.ts'
import { Undo } from '../../src/model/undo.ts'
import { linkMessage } from '../../src/netlink/link/tables.ts'
import type { Message } from '../../src/netlink/message.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { currentNetns } from '../../src/netns/netns.ts'
import { ack, done, object, part, ScriptedKernel, type Turn } from './scripted-kernel.ts'

type Wire = Parameters<typeof linkMessage.encode>[0]

/** Agrees to a change. */
export const agrees: Turn = request => [ack(request)]

/** Shows a link. */
export const shows =
  (index: number, attributes: Wire['attributes'], flags = 0): Turn =>
  (request: Message) => [
    object(request, linkMessage.encode({ header: { index, flags }, attributes })),
    ack(request),
  ]

/** Lists links. */
export const lists =
  (...links: { index: number; attributes: Wire['attributes'] }[]): Turn =>
  request => [
    ...links.map(({ index, attributes }) =>
      part(request, linkMessage.encode({ header: { index }, attributes })),
    ),
    done(request),
  ]

/** A side, and the commands that it was asked for, without those that only look. */
export function scriptedSide(...turns: Turn[]): { side: Side; commands: string[]; kernel: ScriptedKernel } {
  const kernel = new ScriptedKernel(...turns)
  const commands: string[] = []
  const trace = (equivalent: string) => void commands.push(equivalent)
  const side = { nl: new Netlink(kernel, trace), netns: currentNetns(), undo: new Undo(), trace }
  return { side, commands, kernel }
}
