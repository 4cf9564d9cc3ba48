/**
 * Calls of runtimes done by the daemon, for callers whose launcher asks it to.
 *
 *     launcher ──call.sock──▶ calls.ts ──▶ caller.ts ──▶ the queue of its container ──▶ cni/, netavark/ ──▶ answer
 *                             (protocol)   (who is it)       cni-call.ts, netavark-call.ts
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

import type { Operations } from '../../cni/plugin.ts'
import { operationsWith, type PortHolder } from '../../control/held-ports.ts'
import type { Surroundings } from '../../model/surroundings.ts'
import type { Asked, Job, Reply } from './calls.ts'
import { cniCall } from './cni-call.ts'
import { isNetavarks, netavarkCall } from './netavark-call.ts'
import { onBehalfOf } from './on-behalf.ts'

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
    const job = isNetavarks(asked) ? netavarkCall(asked, this.#operations) : cniCall(asked, this.#operations)
    if (job === undefined) return
    this.#going++
    await this.#inTurn(job.container, async () => {
      const { carryOut, takeBack } = job
      if (takeBack !== undefined && asked.isGone()) return
      const reply = await this.#answer(asked, carryOut)
      const wasRead = await asked.send(reply)
      if (takeBack !== undefined && !wasRead && reply.exitCode === 0) await this.#answer(asked, takeBack)
    }).finally(() => this.#going--)
  }

  async #answer({ caller }: Asked, work: Job['carryOut']): Promise<Reply> {
    let stderr = ''
    const surroundings: Surroundings = {
      // A plugin that this call runs may call us in turn, for the same container: it must not wait for us.
      env: { ...caller.env, TSNET_DAEMON: 'off' },
      directory: caller.directory,
      caller: caller.identity,
      complain: text => {
        stderr += text
      },
    }
    const done = await onBehalfOf(surroundings, work)
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
