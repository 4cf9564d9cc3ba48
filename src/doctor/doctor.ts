/**
 * What is wrong between clients and applications, and what to do about it.
 *
 *     a word ──subject.ts──▶ whom it is about ──patient.ts──▶ what is known of them: records, ports, lists, the daemon
 *                                                                  │
 *                     checks/, side by side, each for itself ◀─────┘
 *                                  │
 *                             faults, as values ──fix.ts──▶ those that are ours to mend
 *
 * Everything is read through the parts that tsnet itself works with: so what is said of the rules of others is what a
 * publication is decided by, and what is said of ours is what reconcile would put back. Nothing is changed by looking,
 * and a check that cannot look is a fault by itself.
 *
 * A fix never touches what is others': it puts back what is ours, starts a daemon, or has the kernel forget
 * connections that pass our rules by. All else is told as something that a person does.
 *
 * trace/ asks the kernel instead of reading rules: it follows one real packet.
 *
 * Limits: a host is looked at from inside. What lies between it and a client (a cloud's security groups, another
 * firewall) is not seen, nor is what drops packets without a rule of netfilter: tc, XDP, other programs of the kernel.
 */

import { setImmediate } from 'node:timers/promises'
import { messageOf } from '../model/errors.ts'
import { checks } from './checks/checks.ts'
import type { Fault } from './fault.ts'
import { type Patient, patientOf } from './patient.ts'

export { checks } from './checks/checks.ts'
export type { Fault, Fix } from './fault.ts'
export { describeFix, mend, sameFix } from './fix.ts'

/**
 * Looks at everything that concerns a port, a network or a container.
 * @param word absent: the whole host
 * @param hear is told the names of the checks that still look, whenever they become fewer
 * @throws TsnetError for a word that means nothing
 */
export async function examine(
  word: string | undefined,
  hear: (pending: readonly string[]) => void = () => {},
  env: NodeJS.ProcessEnv = process.env,
): Promise<Fault[]> {
  using patient = await patientOf(word, env)
  const pending = new Set(checks.map(({ name }) => name))
  hear([...pending])
  const found = await Promise.all(
    checks.map(async check => {
      const faults = await lookWith(check, patient)
      pending.delete(check.name)
      hear([...pending])
      return faults
    }),
  )
  return found.flat()
}

async function lookWith({ name, look, about }: (typeof checks)[number], patient: Patient): Promise<Fault[]> {
  // Those that wait for something begin before those that keep the thread have ended.
  await setImmediate()
  try {
    return (await look(patient)).map(fault => ({ check: name, ...fault }))
  } catch (thrown) {
    return [
      {
        check: name,
        on: 'this host',
        what: `whether ${about} could not be found out: ${messageOf(thrown)}`,
        why: 'nothing is known about it',
        cure: 'see what the kernel or the file says against it',
      },
    ]
  }
}
