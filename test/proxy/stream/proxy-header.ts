import t from 'tap'
import type { Ip } from '../../../src/model/address/address.ts'
import { proxyHeader } from '../../../src/proxy/stream/proxy-header.ts'

const end = (ip: string, port: number) => ({ ip: ip as Ip, port })

t.test('version 1 is a line of text', async t => {
  const v4 = proxyHeader(1, end('192.0.2.7', 51000), end('198.51.100.1', 443))
  t.equal(String(v4), 'PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n')
  const v6 = proxyHeader(1, end('2001:db8::7', 65535), end('::1', 1))
  t.equal(String(v6), 'PROXY TCP6 2001:db8::7 ::1 65535 1\r\n')
})

t.test('version 2 is binary', async t => {
  const signature = '0d0a0d0a000d0a515549540a'
  const v4 = proxyHeader(2, end('192.0.2.7', 0xc738), end('198.51.100.1', 443))
  t.equal(Buffer.from(v4).toString('hex'), `${signature}2111000cc0000207c6336401c73801bb`)
  const v6 = proxyHeader(2, end('2001:db8::7', 1), end('::1', 2))
  t.equal(
    Buffer.from(v6).toString('hex'),
    `${signature}2121002420010db8000000000000000000000007${'0'.repeat(31)}100010002`,
  )
})
