import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { checkAllowed } from '../../src/tuning/tuning.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsnet-allowlist-'))
let count = 0

function list(...lines: string[]): string {
  const path = join(folder, `${count++}.conf`)
  writeFileSync(path, lines.join('\n'))
  return path
}

t.test('without a list every key is allowed', async () => {
  checkAllowed(['net.ipv4.ip_forward'], join(folder, 'none.conf'))
})

t.test('with a list, a key must match one of its lines', async t => {
  const path = list('^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$', '', '  ^net/core/somaxconn$  ')
  checkAllowed([], path)
  checkAllowed(['net.ipv4.conf.IFNAME.arp_filter', 'net/core/somaxconn'], path)
  t.throws(() => checkAllowed(['net/core/somaxconn', 'net.ipv4.ip_forward'], path), {
    code: 'invalid-config',
    message: /^Sysctl net\.ipv4\.ip_forward is not allowed\. Only the following sysctls are allowed: \[/,
  })
})

t.test('an empty list allows nothing', async t => {
  t.throws(() => checkAllowed(['net.ipv4.ip_forward'], list('')), { code: 'invalid-config' })
})

t.test('what Go escapes without need is understood', async () => {
  checkAllowed(
    ['net.ipv4.tcp_rmem', 'net.ipv4.a-b'],
    list('^net\\.ipv4\\.tcp\\_rmem$', '^net\\.ipv4\\.a\\-b$'),
  )
})

t.test('a line that would mean something else in Go is an error, not another meaning', async t => {
  for (const line of ['\\Anet', '[[:alpha:]]+', '(?i)net', 'net(']) {
    t.throws(() => checkAllowed(['net.ipv4.ip_forward'], list(line)), { code: 'invalid-config' }, line)
  }
})
