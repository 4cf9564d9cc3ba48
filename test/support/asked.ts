/**
 * What a function asks of a kernel that agrees to it.
 */

import type { Message } from '../../src/netlink/message.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { ack, ScriptedKernel } from './scripted-kernel.ts'

/** The one request that `work` sends, and the command that does the same. */
export function asked(work: (nl: Netlink) => void): Message & { command: string | undefined } {
  const commands: string[] = []
  const kernel = new ScriptedKernel(request => [ack(request)])
  work(new Netlink(kernel, command => commands.push(command)))
  const [request] = kernel.requests
  if (request === undefined) throw new Error('nothing was asked')
  return { ...request, command: commands[0] }
}
