/** What the page is told, beside the picture (svg/shapes.ts): plain values alone, since the browser reads this, too. */

export interface Rate {
  name: string
  network: string
  /** Bytes a second, towards the container and from it. */
  in: number
  out: number
}

export interface Traffic {
  /** Milliseconds since the epoch, and bytes a second of all containers together; the newest last. */
  points: readonly { at: number; in: number; out: number }[]
  /** Those that most goes to and comes from. */
  top: readonly Rate[]
}
