/** Jumps that stand twice after a repair by several at once: by commands that only look like those of iptables. */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { tablesOf } from '../../../src/nat/iptables/document.ts'
import { removeRepeatedJumps } from '../../../src/nat/iptables/iptables.ts'
import { planRules } from '../../../src/nat/rules.ts'
import { intentOf } from '../../support/nat-site.ts'

/** Three equal jumps, in a file with a line each; the first deletion is lost to somebody else's, as iptables words it. */
const COMMANDS = {
  'iptables-save': `echo '*raw'; echo ':TSNET-RAW - [0:0]'; cat "$0.jumps"; echo COMMIT`,
  'iptables-restore': `
    echo >>"$0.times"
    [ "$(wc -l <"$0.times")" -gt 1 ] || { echo 'RULE_DELETE failed (No such file or directory)' >&2; exit 1; }
    jumps=$(dirname "$0")/iptables-save.jumps
    while read -r line; do
      case $line in -D*) [ "$(wc -l <"$jumps")" -gt 1 ] && sed -i 1d "$jumps" || exit 1 ;; esac
      echo "$line"
    done`,
}

t.test(
  'a repeated jump whose deletion is lost to somebody else goes all the same, and one stays',
  async t => {
    const folder = t.testdir({})
    for (const [name, script] of Object.entries(COMMANDS)) {
      writeFileSync(`${folder}/${name}`, `#!/bin/sh\n${script}\n`)
      chmodSync(`${folder}/${name}`, 0o755)
    }
    const rules = planRules(intentOf())
    const part = rules.families.find(({ family }) => family === 4)
    const tables = part === undefined ? [] : tablesOf(rules, part)
    const jump = tables.find(({ name }) => name === 'raw')?.chains[0]?.jumps[0] ?? ''
    writeFileSync(`${folder}/iptables-save.jumps`, `-A ${jump}\n`.repeat(3))
    const before = process.env.PATH
    process.env.PATH = `${folder}:${before}`
    t.teardown(() => {
      process.env.PATH = before
    })
    await removeRepeatedJumps(4, tables)
    t.equal(readFileSync(`${folder}/iptables-save.jumps`, 'utf8'), `-A ${jump}\n`)
  },
)
