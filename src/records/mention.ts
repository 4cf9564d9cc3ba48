/**
 * Which states may speak of something, by their text alone: to look for a word in it takes a fiftieth of the time that it
 * takes to understand it. Who speaks of it is found out by whoever has read those.
 */

/** What is looked for. */
export interface Mention {
  /** One of them stands in each state that is meant: a name, an id or its beginning, a number. */
  texts: readonly string[]
  /** They are ports: a range may have one without its number. */
  isPort?: boolean
}

/** A range of more than one port, as it is written down. */
const RANGE = /"count":(?!1[,}])/

/** @returns false of a text that does not speak of it, as sure as it is one of ours (model/json/stored.ts) */
export function maySpeakOf({ texts, isPort = false }: Mention): (text: string) => boolean {
  const written = texts.map(text => JSON.stringify(text).slice(1, -1))
  return text => written.some(each => text.includes(each)) || (isPort && RANGE.test(text))
}
