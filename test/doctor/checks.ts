/** What checks say that no host of the lab can be brought to, and that the documents have them all. */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { fullness } from '../../src/doctor/checks/connections.ts'
import { checks } from '../../src/doctor/doctor.ts'
import { cureFor } from '../../src/doctor/firewalls.ts'

t.test('a table of connections is full before it has no room at all', async t => {
  t.equal(fullness(100, 65_536), undefined)
  t.match(fullness(60_000, 65_536), { what: /60000 of at most 65536/, cure: /nf_conntrack_max=262144/ })
  t.equal(fullness(1_000_000, 0), undefined, 'without a limit it is never full')
})

t.test('what to do about a rule is said in the words of whoever made it', async t => {
  const said = (place: string) => cureFor(`what is sent to port 80/tcp is dropped by ${place}`, 'cni0')
  t.match(
    said('iptables table filter, chain ufw-reject-forward, rule 1: "-j REJECT"'),
    /^ufw route allow out on cni0/,
  )
  t.match(said('nft table inet firewalld, chain filter_FORWARD, rule 9: "reject"'), /--add-interface=cni0/)
  t.match(said('iptables table filter, chain DOCKER, rule 1: "-j DROP"'), /^iptables -I DOCKER-USER -o cni0/)
  t.match(said('nft table inet netavark, chain FORWARD: "policy drop"'), /podman/)
  t.match(
    said('ip6tables table filter, chain FORWARD, rule 1: "-j DROP"'),
    /same command: -I FORWARD -o cni0/,
  )
  t.match(said('nft table inet mine, chain fwd: "policy drop"'), /nft insert rule .* oifname "cni0" accept/)
})

t.test('every check is in the reference, with what it looks at', async t => {
  const reference = readFileSync('docs/cli-reference.md', 'utf8')
  const rows = [...reference.matchAll(/^\| `([\w-]+)` +\| (.*?) +\|$/gm)].map(([, name, about]) => [
    name,
    about,
  ])
  for (const { name, about } of checks)
    t.ok(
      rows.some(row => row[0] === name && row[1] === about),
      name,
    )
  t.equal(new Set(checks.map(({ name }) => name)).size, checks.length, 'each name once')
})

t.test(
  'troubleshooting names every check, in the row of some cause or in a section, and none that is not there',
  async t => {
    const text = readFileSync('docs/troubleshooting.md', 'utf8')
    const inTables = [...text.matchAll(/^\|[^|]*\| +(`[^|]*`) +\|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
    )
    const known = new Set(checks.map(({ name }) => name))
    for (const name of inTables) t.ok(known.has(name) || name.startsWith('tsnet '), name)
    for (const name of known) t.ok(text.includes(`\`${name}\``), name)
  },
)
