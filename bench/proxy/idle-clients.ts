/**
 * Connections that do nothing, as a program: `idle-clients.js IP PORT COUNT` opens them, prints how many it
 * got, and keeps them until its stdin ends.
 */

import { connect, type Socket } from 'node:net'

const AT_ONCE = 100

const [host = '', port = '', wanted = ''] = process.argv.slice(2)
const open: Socket[] = []

const one = () =>
  new Promise<void>(resolve => {
    const socket = connect(Number(port), host)
    socket.on('connect', () => {
      open.push(socket)
      resolve()
    })
    socket.on('error', () => resolve())
  })

for (let left = Number(wanted); left > 0; left -= AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, one))
}
console.log(open.length)
process.stdin
  .on('end', () => {
    for (const socket of open) socket.resetAndDestroy()
  })
  .resume()
