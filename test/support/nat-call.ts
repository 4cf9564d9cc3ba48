/**
 * Runs operations of src/nat in the namespaces it is started in: a JSON list of [name, …arguments] on stdin,
 * a JSON list of { value } or { error } on stdout, with how long each took.
 */

import { readFileSync } from 'node:fs'
import { messageOf, TsnetError } from '../../src/model/errors.ts'
import * as nat from '../../src/nat/nat.ts'

const operations = nat as unknown as Record<string, (...values: unknown[]) => unknown>
const calls = JSON.parse(readFileSync(0, 'utf8')) as [name: string, ...values: unknown[]][]
const results = []
for (const [name, ...values] of calls) {
  const began = performance.now()
  try {
    const value = await operations[name]?.(...values)
    results.push({ value, ms: performance.now() - began })
  } catch (thrown) {
    const code = thrown instanceof TsnetError ? thrown.code : 'unexpected'
    results.push({ error: { code, message: messageOf(thrown) }, ms: performance.now() - began })
  }
}
process.stdout.write(JSON.stringify(results))
