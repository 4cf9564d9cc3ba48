/**
 * Runs operations of src/nat in the namespaces it is started in: a JSON list of [name, …arguments] on stdin,
 * a JSON list of { value } or { error } on stdout, with how long each took and how many transactions were refused
 * meanwhile. One after the other, or with the argument `together` all at once.
 */

import { readFileSync } from 'node:fs'
import { messageOf, TsnetError } from '../../src/model/errors.ts'
import type { NatBackend, NatIntent } from '../../src/model/network.ts'
import * as nat from '../../src/nat/nat.ts'
import { removeUnusedNft } from '../../src/nat/reference/hostports-nftables.ts'
import { Netlink } from '../../src/netlink/netlink.ts'

let refused = 0
const { transact } = Netlink.prototype
Netlink.prototype.transact = function (...values) {
  const refusals = transact.apply(this, values)
  if (refusals.length > 0) refused++
  return refusals
}

const mendAll = (backend: NatBackend, intents: readonly NatIntent[]) =>
  nat.mendRules(backend, intents, [], owners => new Set(owners))

const operations = { ...nat, mendAll, removeUnusedNft } as unknown as Record<
  string,
  (...values: unknown[]) => unknown
>
const calls = JSON.parse(readFileSync(0, 'utf8')) as [name: string, ...values: unknown[]][]

async function carryOut([name, ...values]: [name: string, ...values: unknown[]]) {
  const began = performance.now()
  const before = refused
  const rest = () => ({ ms: performance.now() - began, refused: refused - before })
  try {
    return { value: await operations[name]?.(...values), ...rest() }
  } catch (thrown) {
    const code = thrown instanceof TsnetError ? thrown.code : 'unexpected'
    return { error: { code, message: messageOf(thrown) }, ...rest() }
  }
}

const results = []
if (process.argv[2] === 'together') results.push(...(await Promise.all(calls.map(carryOut))))
else for (const call of calls) results.push(await carryOut(call))
process.stdout.write(JSON.stringify(results))
