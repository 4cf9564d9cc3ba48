/** Asks a name server over a connection of its own. */

import { connect } from 'node:net'
import { randomBytes } from '../../ffi/random.ts'
import { readAnswer, type Said, type Way } from '../forward.ts'
import { printQuery } from '../print.ts'
import { Frames, framed } from './frames.ts'

export const overTcp: Way = (query, { server, port, withinMs }) => {
  const id = new DataView(randomBytes(2).buffer).getUint16(0)
  return new Promise(resolve => {
    const frames = new Frames()
    const socket = connect({ host: server, port, noDelay: true })
    const end = (said: Said | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(said)
    }
    const timer = setTimeout(() => end(undefined), withinMs)
    socket.on('error', () => end(undefined))
    socket.on('close', () => end(undefined))
    socket.on('data', data => {
      for (const message of frames.take(data) ?? []) {
        const said = readAnswer(message, query, id)
        if (said !== undefined) end(said)
      }
    })
    socket.write(framed(printQuery(query, id, 'tcp')))
  })
}
