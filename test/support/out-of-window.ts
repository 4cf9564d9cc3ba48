/**
 * A segment far outside the window of its connection, as middleboxes and retransmissions out of the past
 * send it. Connection tracking calls it invalid, and no address is translated for it.
 */

import { Socket } from 'node:net'
import { type Place, waitFor } from 'tsnet/lab'
import { openConnected } from '../../src/lab/sockets.ts'
import type { Ip } from '../../src/model/address/address.ts'

/** nft's words for the segments with data that a place sends to a port, or from one. */
type Segments = `${'dport' | 'sport'} ${number}`

/**
 * Connects and asks three times; the second time what `forger` sends goes out with sequence numbers out of nowhere,
 * until two such segments are on their way. TCP sends them again as they should have been.
 * @returns `lives`, or the code of the error that ended the connection
 */
export async function outOfWindow(
  from: Place,
  to: string,
  port: number,
  forger: Place,
  segments: Segments,
): Promise<string> {
  const socket = new Socket({ fd: from.inside(() => openConnected('tcp', to as Ip, port, 0)) })
  let asked = 0
  let answered = 0
  let error: string | undefined
  socket.setEncoding('utf8').on('data', (text: string) => {
    answered += text.split('\n').length - 1
  })
  socket.on('error', (thrown: Error & { code?: string }) => {
    error ??= thrown.code ?? thrown.message
  })
  socket.on('end', () => {
    error ??= 'end'
  })
  const ask = () => {
    asked++
    socket.write('hello\n')
  }
  const answers = () => waitFor(() => error !== undefined || answered === asked, { what: `${asked} answers` })
  try {
    ask()
    await answers()
    const before = await connections(forger, segments)
    // One that was reset in between sends no second segment.
    const forged = async () => (await counted(forger)) >= 2 || (await connections(forger, segments)) < before
    await forger.run('nft', '-f', '-', { stdin: forgery(segments) })
    ask()
    await waitFor(forged, { what: `two forged segments from ${forger.name}` })
    await forger.run('nft', 'delete', 'table', 'inet', 'forgery')
    // Whoever was reset says so when it hears from us.
    ask()
    await answers()
    return error ?? 'lives'
  } finally {
    socket.destroy()
  }
}

/** How many ends of such connections a place has. */
async function connections(place: Place, segments: Segments): Promise<number> {
  const [side = '', port = ''] = segments.split(' ')
  const { stdout } = await place.run('ss', '-tnH', 'state', 'established', side, '=', `:${port}`)
  return stdout.split('\n').length
}

async function counted(place: Place): Promise<number> {
  const { stdout } = await place.run('nft', 'list', 'counter', 'inet', 'forgery', 'sent')
  return Number(/packets (\d+)/.exec(stdout)?.[1])
}

/**
 * Of two numbers half of the space apart one is ahead of the window; what lies behind it is old, which
 * connection tracking lets pass.
 */
const forgery = (segments: Segments): string => `table inet forgery {
  counter sent { }
  chain output {
    type filter hook output priority 0;
    tcp ${segments} tcp flags & (psh | syn | fin | rst) == psh counter name sent jump forge
  }
  chain forge {
    numgen inc mod 2 0 tcp sequence set 0x5eed5eed return
    tcp sequence set 0xdeed5eed
  }
}`
