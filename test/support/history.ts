/**
 * What many workers did to one host, and what must never have happened. A history is plain values: each operation has
 * the moments of its beginning and its end, counted in one order for all, and how it ended. What lies between the two
 * moments may have happened in any order; so somebody *holds* a thing from the end of the operation that gave it to the
 * beginning of the one that takes it, and *may hold* it from the beginning of the first to the end of the last.
 */

/** `killed`: nobody knows whether it was done. */
export type Outcome = 'done' | 'refused' | 'killed'

interface Moments {
  /** Of the beginning and of the end; no two are the same. */
  from: number
  to: number
  outcome: Outcome
  /** What a refusal said. */
  said?: string
}

export type Operation = Moments &
  (
    | { kind: 'add'; who: string; addresses: string[]; ports: number[] }
    | { kind: 'del' | 'check'; who: string }
    | { kind: 'publish' | 'unpublish'; who: string; port: number }
    /** A client asks a port that `who` has; `answer` is the container that did, if any. */
    | { kind: 'ask'; who: string; port: number; answer: string | undefined }
    /** With those who are there. */
    | { kind: 'collect'; valid: string[] }
    /** The daemon ends in some way and another comes; all rules go, and come back before the end; the host starts anew. */
    | { kind: 'restart' | 'flush' | 'reboot' }
  )

type Kind = Operation['kind']

/** A thing of somebody between two moments. */
interface Held {
  thing: string
  who: string
  by: Kind
  from: number
  to: number
}

interface Span {
  from: number
  to: number
}
const overlap = (a: Span, b: Span): boolean => a.from < b.to && b.from < a.to

const portThing = (port: number): string => `port ${port}`

/** What an operation gives to somebody. */
function given(operation: Operation): string[] {
  if (operation.kind === 'add') return [...operation.addresses, ...operation.ports.map(portThing)]
  return operation.kind === 'publish' ? [portThing(operation.port)] : []
}

/** Whether an operation, once it is done, has taken away what another gave, or did halfway. */
function takes(operation: Operation, giver: Operation): boolean {
  if (operation.kind === 'reboot') return true
  switch (giver.kind) {
    case 'publish':
    case 'unpublish':
      return operation.kind === 'unpublish' && operation.who === giver.who && operation.port === giver.port
    case 'add':
    case 'del':
      if (operation.kind === 'del') return operation.who === giver.who
      return operation.kind === 'collect' && !operation.valid.includes(giver.who)
    default:
      return false
  }
}

/**
 * What is wrong with a history, a sentence each; empty where all may have happened on a host that works.
 * @param addresses how many there are
 */
export function faultsIn(history: readonly Operation[], addresses: number): string[] {
  const givers = history.filter(one => given(one).length > 0 || one.kind === 'add')
  const takers = history.filter(({ kind }) => ['del', 'unpublish', 'collect', 'reboot'].includes(kind))
  const flushes = history.filter(({ kind }) => kind === 'flush')
  const restarts = history.filter(({ kind }) => kind === 'restart')

  /** Held for certain, until somebody began to take it. */
  const certain = givers.flatMap(giver => {
    if (giver.outcome !== 'done') return []
    const ends = takers.filter(one => one.from > giver.from && takes(one, giver)).map(({ from }) => from)
    return heldBy(giver, giver.to, Math.min(...ends))
  })
  /** Until somebody had certainly taken it. */
  const mayLast = (giver: Operation): number => {
    if (giver.outcome === 'refused') return giver.to
    const ends = takers.filter(one => one.outcome === 'done' && one.from > giver.to && takes(one, giver))
    return Math.min(...ends.map(({ to }) => to))
  }
  const spans = new Map(givers.map(giver => [giver, { from: giver.from, to: mayLast(giver) }]))
  const possible = [...spans].flatMap(([giver, { from, to }]) => heldBy(giver, from, to))

  /** Whether nobody knows what its owner had before: something was killed, and nothing has cleared that since. */
  const isUnsure = (one: Operation & { who: string }): boolean =>
    history.some(
      killed =>
        killed.outcome === 'killed' &&
        'who' in killed &&
        killed.who === one.who &&
        killed.to < one.from &&
        !takers.some(
          taker =>
            taker.outcome === 'done' && taker.from > killed.to && taker.to < one.from && takes(taker, killed),
        ),
    )

  /** Whether another may have had its port, or others all addresses. */
  const isTaken = (one: Operation & { who: string }): boolean => {
    const wanted = given(one).filter(thing => thing.startsWith('port'))
    const isOthers = ({ thing, who, by }: Held) =>
      wanted.includes(thing) && (who !== one.who || by !== one.kind)
    if (possible.some(held => isOthers(held) && overlap(held, one))) return true
    if (one.kind !== 'add') return false
    const holders = [...spans].filter(
      ([giver, span]) => giver.kind === 'add' && giver.who !== one.who && overlap(span, one),
    )
    return new Set(holders.map(([giver]) => (giver as { who: string }).who)).size >= addresses
  }

  const isExcused = (one: Operation & { who: string }): boolean => {
    const flushed = flushes.some(flush => overlap(flush, one))
    const restarted = restarts.some(restart => overlap(restart, one))
    switch (one.kind) {
      case 'add':
        return flushed || isUnsure(one) || isTaken(one)
      case 'publish':
        return flushed || restarted || isUnsure(one) || isTaken(one)
      case 'unpublish':
        return restarted || isUnsure(one)
      case 'check':
        return flushed
      default:
        return false
    }
  }

  const faults = history.flatMap(one => {
    const what = `${one.kind}${'who' in one ? ` of ${one.who}` : ''} (${one.from} to ${one.to})`
    if (one.kind === 'ask') {
      const isNobody =
        one.answer === undefined && [...flushes, ...restarts].some(other => overlap(other, one))
      if (one.answer === one.who || isNobody) return []
      return [`${what}: port ${one.port} is answered by ${one.answer ?? 'nobody'}`]
    }
    if (one.outcome !== 'refused' || ('who' in one && isExcused(one))) return []
    return [`${what} is refused without a reason: ${one.said}`]
  })
  return [...twice(certain), ...faults]
}

const heldBy = (giver: Operation, from: number, to: number): Held[] =>
  'who' in giver ? given(giver).map(thing => ({ thing, who: giver.who, by: giver.kind, from, to })) : []

/** Things that two have at once. */
function twice(held: readonly Held[]): string[] {
  const byThing = new Map<string, Held[]>()
  for (const one of held.toSorted((a, b) => a.from - b.from))
    byThing.set(one.thing, [...(byThing.get(one.thing) ?? []), one])
  return [...byThing].flatMap(([thing, spans]) =>
    spans.flatMap((one, i) =>
      spans
        .slice(i + 1)
        .filter(other => other.who !== one.who && overlap(one, other))
        .map(other => `${thing} is ${one.who}'s and ${other.who}'s at ${other.from}`),
    ),
  )
}
