/**
 * What a network's MTU does to traffic that is larger: nothing is lost for good, streams arrive whole, and who sends
 * datagrams that must not be cut is told how long they may be, by whichever host on the way cannot take them.
 *
 *     client eth0 ── 1500 ── lan0 host ── br-front ── MTU ── web, published on 8080
 */

import t, { type Test } from 'tap'
import { type Place, waitFor } from 'tsnet/lab'
import { addressOf } from '../support/plugin.ts'
import { CLIENT, HOST, Scene } from '../support/scene.ts'

const WIRE = 1500
const MTUS = [1280, 65_535]
const BYTES = 1 << 20
/** Of IPv4 and UDP. */
const HEADERS = 28

const ECHO = `
import socket, threading
def echo(one):
  got = bytearray()
  while part := one.recv(1 << 16): got += part
  one.sendall(got)
  one.close()
def serve(tcp):
  while True: threading.Thread(target=echo, args=(tcp.accept()[0],), daemon=True).start()
threading.Thread(target=serve, args=(socket.create_server(('', 7), family=socket.AF_INET6, dualstack_ipv6=True),), daemon=True).start()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(('', 7))
print('ready', flush=True)
while True:
  data, whose = udp.recvfrom(65535)
  udp.sendto(b'.', whose)
`

/** Sends and reads all back. */
const STREAM = `
import os, socket, sys
sent = os.urandom(${BYTES})
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 60) as to:
  to.sendall(sent)
  to.shutdown(socket.SHUT_WR)
  got = bytearray()
  while part := to.recv(1 << 16): got += part
print('whole' if got == sent else f'{len(got)} bytes')
`

/** One that must not be cut: sent again until it is answered, or refused with what the way takes. */
const DATAGRAM = `
import errno, socket, sys, time
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
to.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
to.connect((sys.argv[1], int(sys.argv[2])))
to.settimeout(0.1)
until = time.monotonic() + float(sys.argv[4])
said = 'lost'
while said == 'lost' and time.monotonic() < until:
  try:
    to.send(b'x' * int(sys.argv[3]))
    to.recv(1)
    said = 'answered'
  except TimeoutError: pass
  except OSError as error:
    if error.errno != errno.EMSGSIZE: raise
    said = f'at most {to.getsockopt(socket.IPPROTO_IP, IP_MTU)}'
print(said)
`

async function serve(t: Test, place: Place): Promise<void> {
  const server = place.start('python3', '-c', ECHO)
  t.teardown(() => server.stop('SIGKILL'))
  await waitFor(() => server.stdout.includes('ready'), { what: 'the service' })
}

const python = async (from: Place, script: string, ...words: (string | number)[]): Promise<string> =>
  (await from.run('python3', '-c', script, ...words.map(String))).stdout.trim()

const datagram = (from: Place, to: string, port: number, bytes: number, withinS = 20) =>
  python(from, DATAGRAM, to, port, bytes, withinS)

t.setTimeout(600_000)

t.test('whatever the MTU, streams arrive whole, and who sends too much is told', async t => {
  const scene = await Scene.open('nftables', 'web')
  t.teardown(() => scene.close())
  const { client } = scene
  const web = scene.get('web')
  await serve(t, web)
  await serve(t, client)
  const ports = (['tcp', 'udp'] as const).map(protocol => ({ hostPort: 8080, containerPort: 7, protocol }))
  await scene.remember()
  for (const mtu of MTUS) {
    const front = scene.network('front', 10, { mtu })
    const result = await front.add(web, { ports })
    const least = Math.min(mtu, WIRE)
    t.equal(await python(client, STREAM, HOST[4], 8080), 'whole', `${mtu}: in`)
    t.equal(await python(web, STREAM, CLIENT[6], 7), 'whole', `${mtu}: out`)
    t.equal(await python(scene.host, STREAM, addressOf(result, 4), 7), 'whole', `${mtu}: from the host`)

    t.equal(await datagram(web, CLIENT[4], 7, least - HEADERS + 1), `at most ${least}`, `${mtu}: out`)
    t.equal(await datagram(web, CLIENT[4], 7, least - HEADERS), 'answered', `${mtu}: out`)
    if (mtu < WIRE) {
      const drop = 'add table ip c; add chain ip c in { type filter hook input priority 0; }'
      await client.run('nft', `${drop}; add rule ip c in icmp type destination-unreachable drop`)
      const unheard = await datagram(client, HOST[4], 8080, WIRE - HEADERS, 1)
      t.equal(unheard, 'lost', 'control: who does not hear it loses all')
      await client.run('nft', 'delete table ip c')
    }
    t.equal(await datagram(client, HOST[4], 8080, least - HEADERS + 1), `at most ${least}`, `${mtu}: in`)
    t.equal(await datagram(client, HOST[4], 8080, least - HEADERS), 'answered', `${mtu}: in`)
    await client.run('ip', 'route', 'flush', 'cache')
    await front.delete(web, { ports })
  }
  t.strictSame(await scene.residue(), [])
})
