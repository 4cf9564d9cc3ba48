/**
 * CNI calls done by the daemon, for callers whose launcher asks it to.
 *
 *     launcher ──call.sock──▶ calls.ts ──▶ caller.ts ──▶ the queue of its container ──▶ cni.ts ──▶ answer
 *                             (protocol)   (who is it)
 *
 * It is the code of a process of its own, and the answer the same to the byte; what is spared is starting
 * Node and opening what is open here already. Environment, working directory and stderr are the caller's
 * (model/surroundings.ts).
 *
 * The calls of one container are done one after the other. Those of different containers run side by side:
 * where one waits for a lock or a command, others go on.
 *
 * A caller that died: what has not begun does not begin; DEL and GC are finished; an ADD that succeeded is
 * taken back by the DEL that its runtime would have to call. That goes for an answer that was sent and not
 * read, too. When the daemon dies, the caller does the call itself, and finds in the journal what was begun
 * for it (network/attach.ts).
 */

import { answer } from '../../cni/cni.ts'
import type { Operations } from '../../cni/plugin.ts'
import { operationsWith, type PortHolder } from '../../control/held-ports.ts'
import type { Surroundings } from '../../model/surroundings.ts'
import { runDirectory } from '../../records/records.ts'
import { sharesFiles } from './caller.ts'
import type { Asked, Reply } from './calls.ts'
import { onBehalfOf } from './on-behalf.ts'

/** Where plugins keep leases and what else there is, unless they are told otherwise. */
const STATE = ['/var/lib/cni', '/run/cni/tuning', '/etc/cni/tuning']

export class FastPath {
  readonly #operations: Operations
  /** The end of each container's last call. */
  readonly #last = new Map<string, Promise<void>>()

  #going = 0

  /** @param holder holds the ports of attachments */
  constructor(holder: PortHolder) {
    this.#operations = operationsWith(async () => ({
      serve: owner => holder.serve(owner),
      release: owner => holder.release(owner),
      troubles: network => holder.troubles(network),
      [Symbol.dispose]() {},
    }))
  }

  /** True while calls are being done. */
  get busy(): boolean {
    return this.#going > 0
  }

  /** Does a call and sends the answer; does nothing where the caller has other files. */
  async handle(asked: Asked): Promise<void> {
    const { caller } = asked
    if (!sharesFiles(caller, pathsOf(asked))) return
    this.#going++
    await this.#inTurn(caller.env.CNI_CONTAINERID, async () => {
      const isAdd = caller.env.CNI_COMMAND === 'ADD'
      if (isAdd && asked.isGone()) return
      const reply = await this.#answer(asked)
      const wasRead = await asked.send(reply)
      if (isAdd && !wasRead && reply.exitCode === 0) await this.#answer(asked, 'DEL')
    }).finally(() => this.#going--)
  }

  async #answer({ caller, stdin }: Asked, command = caller.env.CNI_COMMAND): Promise<Reply> {
    let stderr = ''
    const env = { ...caller.env, CNI_COMMAND: command }
    const surroundings: Surroundings = {
      // A plugin that this call runs may call us in turn, for the same container: it must not wait for us.
      env: { ...env, TSNET_DAEMON: 'off' },
      directory: caller.directory,
      caller: caller.identity,
      complain: text => {
        stderr += text
      },
    }
    const { calledAs } = caller
    const done = await onBehalfOf(surroundings, () =>
      answer({ env, calledAs, readStdin: () => stdin, operations: async () => this.#operations }),
    )
    return { ...done, stderr }
  }

  /** After all that is under way for this container. */
  async #inTurn(container: string | undefined, work: () => Promise<void>): Promise<void> {
    if (!container) return work()
    const turn = (this.#last.get(container) ?? Promise.resolve()).then(work)
    const end = turn.catch(() => {})
    this.#last.set(container, end)
    await end
    if (this.#last.get(container) === end) this.#last.delete(container)
    await turn
  }
}

/** Every path that a call names, as far as one can tell: it must mean the same file here. */
function pathsOf({ caller, stdin }: Asked): string[] {
  const { CNI_NETNS, CNI_PATH = '' } = caller.env
  const named = [CNI_NETNS ?? '', ...CNI_PATH.split(':')].filter(path => path !== '')
  return [runDirectory(), ...STATE, ...named, ...(caller.sameView ? [] : pathsIn(stdin))]
}

/** Keys whose value may be a path from where the caller is, which nobody else can follow. */
const isPathKey = (key: string): boolean => /^(dataDir|resolvConf)$/i.test(key)

/** All that looks like a path in a configuration. */
function pathsIn(json: string): string[] {
  const found: string[] = []
  try {
    JSON.parse(json, (key, value) => {
      if (typeof value === 'string' && (value.startsWith('/') || isPathKey(key))) found.push(value)
      return value
    })
  } catch {
    // It will be refused as it stands.
  }
  return found
}
