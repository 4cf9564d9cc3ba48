import { endianness } from 'node:os'
import t from 'tap'
import { parseListening } from '../../src/runtime/listening.ts'

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
const REST = '00000000:00000000 00:00000000 00000000     0        0 1018 1 0000000000000000 100 0 0 10 0'

/** A line of a little-endian machine, or of ours. */
function line(address: string, port: number, state: string): string {
  const words = endianness() === 'LE' ? address : address.replace(/../g, '$&,').split(',').reverse().join('')
  return `   0: ${words}:${port.toString(16).toUpperCase().padStart(4, '0')} ${'0'.repeat(address.length)}:0000 ${state} ${REST}`
}

const ANY = '00000000'
const LOCAL = '0100007F'
const OTHER_LOCAL = '3500007F'
const ADDRESS = '02004D0A' // 10.77.0.2
const ANY6 = '0'.repeat(32)
const LOCAL6 = `${'0'.repeat(24)}01000000`
const MAPPED_LOCAL = `${'0'.repeat(16)}FFFF00000100007F`

t.test('ports that are listened on are told apart by who reaches them', async t => {
  const text = [
    HEAD,
    line(ANY, 80, '0A'),
    line(LOCAL, 5432, '0A'),
    line(OTHER_LOCAL, 53, '0A'),
    line(ADDRESS, 443, '0A'),
    line(ADDRESS, 36000, '01'), // established
    HEAD,
    line(ANY6, 8080, '0A'),
    line(LOCAL6, 6379, '0A'),
    line(MAPPED_LOCAL, 9000, '0A'),
    '',
  ].join('\n')
  t.same(parseListening(text), [
    { port: 53, loopback: true },
    { port: 80, loopback: false },
    { port: 443, loopback: false },
    { port: 5432, loopback: true },
    { port: 6379, loopback: true },
    { port: 8080, loopback: false },
    { port: 9000, loopback: true },
  ])
})

t.test('a port on several addresses counts once, as the most open of them', async t => {
  const text = [line(LOCAL, 80, '0A'), line(ANY6, 80, '0A'), line(LOCAL6, 80, '0A')].join('\n')
  t.same(parseListening(text), [{ port: 80, loopback: false }])
})

t.test('text of another kind names no port', async t => {
  t.same(parseListening(''), [])
  t.same(parseListening(`${HEAD}\nnonsense: 7\n`), [])
})

t.test('of UDP those count that are bound and not connected', async t => {
  const text = [HEAD, line(ANY, 53, '07'), line(ADDRESS, 36000, '01'), line(LOCAL6, 5353, '07')].join('\n')
  t.same(parseListening(text, 'udp'), [
    { port: 53, loopback: false },
    { port: 5353, loopback: true },
  ])
})

t.test('of SCTP those that listen, by the addresses they are bound to', async t => {
  const text = [
    ' ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS',
    '0000000000000000 0000000000000000 2   10  29   11111     0 36862 0.0.0.0 ',
    '0000000000000000 0000000000000000 2   10  30   11112     0 36863 127.0.0.1 0:0:0:0:0:0:0:1',
    '0000000000000000 0000000000000000 2   1   31   11113     0 36864 10.1.0.2 ',
    '',
  ].join('\n')
  t.same(parseListening(text, 'sctp'), [
    { port: 11111, loopback: false },
    { port: 11112, loopback: true },
  ])
})
