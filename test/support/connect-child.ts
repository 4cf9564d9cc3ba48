/**
 * Connects a container from a process of its own, in the namespaces it was started in.
 *
 * stdin is a ChildTask as JSON. stdout has what onLoan heard, then the result or the error, a JSON value a
 * line. With `dieAt` the process kills itself before that step.
 */

import { readFileSync, writeSync } from 'node:fs'
import { connect } from '../../src/bridge/bridge.ts'
import { type LinkRequest, planLink } from '../../src/bridge/plan/plan.ts'
import { hasCode, messageOf } from '../../src/model/errors.ts'
import { Undo } from '../../src/model/undo.ts'
import { openNetns } from '../../src/netns/netns.ts'

export interface ChildTask {
  request: LinkRequest
  netns: string
  /** 1: before the first change. */
  dieAt?: number
}

const say = (value: unknown) => writeSync(1, `${JSON.stringify(value)}\n`)

const { request, netns, dieAt } = JSON.parse(readFileSync(0, 'utf8')) as ChildTask
let step = 0
try {
  const connection = await connect(planLink(request), openNetns(netns), new Undo(), {
    trace() {
      if (++step === dieAt) process.kill(process.pid, 'SIGKILL')
    },
    onLoan: loan => say({ loan }),
  })
  say({ connection })
} catch (thrown) {
  say({ error: messageOf(thrown), refused: hasCode(thrown, 'kernel', 'missing') })
}
