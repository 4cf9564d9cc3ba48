/** What a check finds, as plain values: they are printed, sent as JSON, and mended by. */

/** Something between a client and an application that keeps them apart, or will. */
export interface Fault {
  /** The check that found it. */
  check: string
  /** Whom it is about: `port 8080/tcp`, `web (front eth0)`, `network front`, `bridge cni0`, `this host`. */
  on: string
  /** What is wrong: a sentence without its end. */
  what: string
  /** What comes of it: a sentence without its end. */
  why: string
  /** What to do: a sentence without its end, or a command line. */
  cure: string
  /** Absent: it is somebody else's, or nobody can know what they want. */
  fix?: Fix
}

/** What can be done about a fault without touching what is others'. */
export type Fix =
  /** Puts back what others took of ours. */
  | { do: 'reconcile' }
  | { do: 'start-daemon' }
  /** Forgets connections that go on without the rules of published ports. */
  | { do: 'forget-connections' }
  /** Has a port of a bridge, which is ours, forward. */
  | { do: 'forward'; link: string }

/** One thing that is looked at. It changes nothing, and what it throws is a fault of its own. */
export interface Check<Subject> {
  /** By which it is known: one or two words with hyphens. */
  name: string
  /** What is looked at, for people. */
  about: string
  look(subject: Subject): Found[] | Promise<Found[]>
}

/** A fault as its check says it. */
export type Found = Omit<Fault, 'check'>
