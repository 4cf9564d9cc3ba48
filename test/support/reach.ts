/** Who answers at an address. */

import { type AskOptions, type Place, waitFor } from 'tsnet/lab'

type Question = [transport: 'tcp' | 'udp', to: string, port: number]

/** Who answers, where somebody does. @throws NoAnswer */
export const answers = async (from: Pick<Place, 'ask'>, ...question: Question): Promise<string> =>
  (await from.ask(...question)).place

/** Who answers soon, or `nobody`. */
export const answering = (
  from: Pick<Place, 'ask'>,
  ...[transport, to, port, fromPort]: [...Question, fromPort?: number]
): Promise<string> => {
  const options: AskOptions = { withinMs: 1000, ...(fromPort !== undefined && { fromPort }) }
  return from.ask(transport, to, port, options).then(
    ({ place }) => place,
    () => 'nobody',
  )
}

/** Sends a datagram, and tells whether a server hears it; its answer may well not find back. */
export async function arrives(
  from: Pick<Place, 'ask'>,
  to: string,
  port: number,
  server: { heard: readonly { text: string }[] },
  text: string,
): Promise<boolean> {
  const asked = from.ask('udp', to, port, { text, withinMs: 500 }).catch(() => {})
  const heard = () => server.heard.some(each => each.text === text)
  const arrived = waitFor(heard, { what: text, withinMs: 500 }).then(
    () => true,
    () => false,
  )
  await asked
  return arrived
}
