/**
 * Answers of several who are asked at once, one of whom may hang.
 *
 * Who answers, answers in milliseconds. So after a moment those who have may be enough; who has not by then is named, and
 * what he would say is heard no more.
 */

import { setTimeout as sleep } from 'node:timers/promises'

/** A busy engine has answered by then. */
const PATIENCE_MS = 1_000

export interface Asked<T> {
  name: string
  answer: Promise<T>
}

export interface Answers<T> {
  /** In the order of those who were asked. */
  values: T[]
  failures: unknown[]
  /** The names of those who have said nothing. */
  silent: string[]
}

/**
 * @param isEnough whether the rest need not be heard
 * @returns when all have answered; or, after patienceMs, as soon as it is enough
 */
export async function answersOf<T>(
  asked: readonly Asked<T>[],
  isEnough: (values: T[]) => boolean = () => false,
  patienceMs = PATIENCE_MS,
): Promise<Answers<T>> {
  const outcomes = new Map<Asked<T>, PromiseSettledResult<T>>()
  const settling = asked.map(async each => {
    const [outcome] = await Promise.allSettled([each.answer])
    outcomes.set(each, outcome)
  })
  const sofar = (): Answers<T> => {
    const heard = asked.flatMap(each => outcomes.get(each) ?? [])
    return {
      values: heard.flatMap(each => (each.status === 'fulfilled' ? [each.value] : [])),
      failures: heard.flatMap(each => (each.status === 'rejected' ? [each.reason] : [])),
      silent: asked.filter(each => !outcomes.has(each)).map(({ name }) => name),
    }
  }
  const all = Promise.all(settling)
  const end = new AbortController()
  try {
    await Promise.race([all, sleep(patienceMs, undefined, { signal: end.signal })])
  } finally {
    end.abort()
  }
  while (outcomes.size < asked.length && !isEnough(sofar().values))
    await Promise.race(settling.filter((_, i) => !outcomes.has(asked[i] as Asked<T>)))
  return sofar()
}
