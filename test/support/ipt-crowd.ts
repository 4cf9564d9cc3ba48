/**
 * Asks for files of iptables all at once, in the namespaces it is started in: a JSON list of files on stdin,
 * on stdout a JSON list of what iptables-restore complains of, null where it took the file.
 */

import { readFileSync } from 'node:fs'
import { restore } from '../../src/nat/iptables/run.ts'

const files = JSON.parse(readFileSync(0, 'utf8')) as string[]
const results = await Promise.all(files.map(file => restore(4, file)))
process.stdout.write(JSON.stringify(results.map(failure => failure?.stderr ?? null)))
