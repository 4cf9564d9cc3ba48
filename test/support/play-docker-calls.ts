/**
 * A process that passes calls on to the daemon's drivers, and stays, as dockerd does: who asks is who takes endpoints.
 *
 *     node play-docker-calls.js FROM TO     both are unix sockets
 */

import { createServer, request } from 'node:http'

const [from, socketPath] = process.argv.slice(2)
createServer((incoming, outgoing) => {
  const asking = request(
    { socketPath: socketPath ?? '', path: incoming.url ?? '', method: 'POST', agent: false },
    answer => {
      outgoing.writeHead(answer.statusCode ?? 500)
      answer.pipe(outgoing)
    },
  )
  asking.on('error', () => outgoing.destroy())
  incoming.pipe(asking)
}).listen(from, () => process.stdout.write('ready\n'))
