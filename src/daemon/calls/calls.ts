/**
 * The call socket, on which launcher/launch.c hands over CNI calls and commands; the protocol is described there.
 *
 * Nobody is trusted to be well-behaved, but for being root: a connection that says nothing, too much or
 * nonsense is let go, and its caller does the call in its own process.
 */

import type { Server, Socket } from 'node:net'
import type { Answer } from '../../cni/cni.ts'
import { isPeerThere } from '../../ffi/peer.ts'
import { messageOf } from '../../model/errors.ts'
import { type CallingProcess, readCaller } from './caller.ts'

/** As stdin of a call may be, see cni/stdin.ts. */
const INPUT_MAX = 10_000_000

/** Before the length of stdin. A daemon that knows of calls alone hangs up on the word, and Node does the command. */
const HEAD = /^(command )?(\d{1,8})\n/
const HEAD_MAX = 'command 12345678\n'.length

/** How long a caller may take to send its stdin, or to read its answer. */
const PATIENCE_MS = 10_000

export interface Reply extends Omit<Answer, 'exitCode'> {
  exitCode: number
  stderr: string
}

/** A call as it came. */
export interface Asked {
  /** A CNI call, or a line of `tsnet`. */
  kind: 'call' | 'command'
  caller: CallingProcess
  stdin: string
  /** True once nobody waits for the answer any more. */
  isGone(): boolean
  /** Sends the answer. @returns true when it was read, or whoever holds it takes his time */
  send(reply: Reply): Promise<boolean>
}

/** What a call comes to. */
export interface Job {
  /** Whose turn it is; absent: it need not wait for any other. */
  container: string | undefined
  carryOut: () => Promise<Answer>
  /** Of what is of use only to whoever hears of it: undoes what succeeded. */
  takeBack?: () => Promise<Answer>
}

/**
 * Answers on every connection of a server.
 * @param handle what it leaves without an answer, the caller does
 * @param log hears of a call that could not be handled
 */
export function answerCalls(
  server: Server,
  handle: (asked: Asked) => Promise<unknown>,
  log: (line: string) => void,
): void {
  server.on('connection', socket => {
    socket.on('error', () => socket.destroy())
    const caller = readCaller(socket)
    if (caller === undefined) {
      socket.destroy()
      return
    }
    socket.write('tsnet\n')
    socket.setTimeout(PATIENCE_MS, () => socket.destroy())
    hearCall(socket, (kind, stdin) => {
      socket.setTimeout(0)
      // Having been stopped, we hear of its end later than of what it said before.
      const isGone = () => socket.readableEnded || socket.destroyed || !isPeerThere(socket)
      const send = async (reply: Reply) => !isGone() && (await deliver(socket, reply))
      void handle({ kind, caller, stdin, isGone, send })
        .catch(thrown => log(`a ${kind} of process ${caller.pid} is left to it: ${messageOf(thrown)}`))
        .finally(() => socket.destroy())
    })
  })
}

/** Calls back once, when all that was announced has come; who says anything else is let go. */
export function hearCall(socket: Socket, whole: (kind: Asked['kind'], stdin: string) => void): void {
  const chunks: Buffer[] = []
  let count = 0
  let expected: number | undefined
  let length = 0
  let kind: Asked['kind'] = 'call'
  socket.on('data', chunk => {
    chunks.push(chunk)
    count += chunk.length
    if (expected === undefined) {
      const head = HEAD.exec(Buffer.concat(chunks).toString('latin1', 0, HEAD_MAX))
      length = Number(head?.[2] ?? 0)
      if (head?.[1] !== undefined) kind = 'command'
      if (head !== null) expected = head[0].length + length
    }
    if (count > (expected ?? HEAD_MAX - 1) || length >= INPUT_MAX) socket.destroy()
    else if (count === expected) whole(kind, Buffer.concat(chunks).toString('utf8', count - length))
  })
}

function deliver(socket: Socket, { exitCode, stdout, stderr }: Reply): Promise<boolean> {
  const [out, err] = [Buffer.from(stdout), Buffer.from(stderr)]
  return new Promise(resolve => {
    // Closed before all was read, a unix socket says so.
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(true))
    socket.setTimeout(PATIENCE_MS, () => socket.destroy())
    socket.end(Buffer.concat([Buffer.from(`${exitCode} ${out.length} ${err.length}\n`), out, err]))
  })
}
