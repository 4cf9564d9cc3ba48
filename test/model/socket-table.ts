import { endianness } from 'node:os'
import t from 'tap'
import { readWaiting, tablesOf } from '../../src/model/socket-table.ts'

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
const REST = '00000000:00000000 00:00000000 00000000     0        0 1018 1 0000000000000000 100 0 0 10 0'

/** A line of a little-endian machine, or of ours. */
function line(address: string, port: number, state: string): string {
  const words = endianness() === 'LE' ? address : address.replace(/../g, '$&,').split(',').reverse().join('')
  return `   0: ${words}:${port.toString(16).toUpperCase().padStart(4, '0')} ${'0'.repeat(address.length)}:0000 ${state} ${REST}`
}

t.test('TCP sockets that listen are read with their addresses, mapped ones as IPv4', async t => {
  const text = [
    HEAD,
    line('00000000', 80, '0A'),
    line('0100007F', 5432, '0A'),
    line('02004D0A', 36000, '01'), // established
    HEAD,
    line('0'.repeat(32), 8080, '0A'),
    line(`${'0'.repeat(24)}01000000`, 6379, '0A'),
    line(`${'0'.repeat(16)}FFFF00000100007F`, 9000, '0A'),
    line('B80D0120000000000000000001000000', 443, '0A'),
    '',
  ].join('\n')
  t.same(readWaiting('tcp', text), [
    { ip: '0.0.0.0', port: 80 },
    { ip: '127.0.0.1', port: 5432 },
    { ip: '::', port: 8080 },
    { ip: '::1', port: 6379 },
    { ip: '127.0.0.1', port: 9000 },
    { ip: '2001:db8::1', port: 443 },
  ])
})

t.test('UDP sockets that are connected to somebody wait for nobody else', async t => {
  const text = [HEAD, line('00000000', 53, '07'), line('02004D0A', 53, '01'), ''].join('\n')
  t.same(readWaiting('udp', text), [{ ip: '0.0.0.0', port: 53 }])
})

t.test('SCTP endpoints are read with all their addresses', async t => {
  const text = [
    ' ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS',
    '0000000000000000 0000000000000000 2   10  14   80        0 12345 10.9.0.2 fd09::2 ',
    '0000000000000000 0000000000000000 2   10  15   81        0 12346 0.0.0.0 ',
    '0000000000000000 0000000000000000 2   1   31   11113     0 36864 10.1.0.2 ',
    '',
  ].join('\n')
  t.same(readWaiting('sctp', text), [
    { ip: '10.9.0.2', port: 80 },
    { ip: 'fd09::2', port: 80 },
    { ip: '0.0.0.0', port: 81 },
  ])
})

t.test('text of another kind says nothing', async t => {
  for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
    t.ok(tablesOf(protocol).length > 0)
    for (const text of ['', `${HEAD}\nnonsense: 7\n`, '1 2 3 4 5 6 7 8 9\n'])
      t.same(readWaiting(protocol, text), [], `${protocol} ${text}`)
  }
})
