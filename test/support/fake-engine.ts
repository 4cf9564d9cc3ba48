/** An engine that speaks Docker's API on a unix socket, as well or as badly as a test wants. */

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export type Reply = (request: IncomingMessage, response: ServerResponse) => void

/** @returns the socket's path */
export async function fakeEngine(t: Test, reply: Reply): Promise<string> {
  const server = createServer(reply)
  const folder = mkdtempSync(join(tmpdir(), 'engine-')) // a socket's path must be short
  const path = join(folder, 'engine.sock')
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })
  return path
}

/** Answers each path with its value as JSON, others with 404. */
export const answering =
  (answers: Record<string, unknown>): Reply =>
  ({ url = '' }, response) => {
    const answer = answers[url]
    response.statusCode = answer === undefined ? 404 : 200
    response.end(JSON.stringify(answer ?? { message: 'no such container' }))
  }
