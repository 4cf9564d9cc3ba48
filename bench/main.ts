/**
 * Side-by-side benchmarks: ours and the peer's turns alternate within one run on one machine, since
 * figures of different runs do not compare.
 *
 *     npm run bench                    all of them
 *     npm run bench -- cni --json      one, for machines
 *     npm run bench -- --rounds 100    more turns
 *
 * Everything runs in network and mount namespaces of its own; the machine's are not touched.
 */

import { parseArgs } from 'node:util'
import { benchCni } from './cni.ts'
import { benchIpam } from './ipam.ts'
import { benchProxy } from './proxy.ts'
import { formatReport, type Report, withinBudget } from './report.ts'
import { insideSandbox, rerunInSandbox } from './sandbox.ts'

interface Bench {
  run(rounds: number): Promise<Report>
  /** Turns unless the command line says otherwise. */
  rounds: number
}

const benches: Record<string, Bench> = {
  cni: { run: benchCni, rounds: 40 },
  ipam: { run: benchIpam, rounds: 40 },
  proxy: { run: benchProxy, rounds: 5 },
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, rounds: { type: 'string' } },
})
const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
const names = positionals.length > 0 ? positionals : Object.keys(benches)
const unknown = names.find(name => benches[name] === undefined)
if (unknown !== undefined || (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))) {
  console.error(`usage: npm run bench -- [${Object.keys(benches).join('|')}] [--rounds N] [--json]`)
  process.exitCode = 2
} else if (!insideSandbox()) {
  process.exitCode = rerunInSandbox()
} else {
  const reports: Report[] = []
  for (const name of names) {
    const bench = benches[name]
    if (bench !== undefined) reports.push(await bench.run(rounds ?? bench.rounds))
  }
  if (values.json) console.log(JSON.stringify(reports, null, 2))
  else for (const report of reports) console.log(formatReport(report))
  process.exitCode = reports.every(withinBudget) ? 0 : 1
}
