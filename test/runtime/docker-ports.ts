import t from 'tap'
import type { Ip } from '../../src/model/address/address.ts'
import { joined, listDockerPorts } from '../../src/runtime/docker-ports.ts'
import { engine } from '../../src/runtime/sources/engine.ts'
import { answering, fakeEngine } from '../support/fake-engine.ts'
import { longId } from '../support/runtime-files.ts'

const port = (hostIp: string, hostPort: number, containerPort: number) =>
  ({ protocol: 'tcp', hostIp: hostIp as Ip, hostPort, containerPort, count: 1 }) as const

t.test('ports that follow each other are a range, and both unspecified addresses are all', async t => {
  const both = ['0.0.0.0', '::'].flatMap(ip => [port(ip, 8081, 81), port(ip, 8080, 80), port(ip, 8090, 80)])
  t.same(joined(both), [
    { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 2 },
    { protocol: 'tcp', hostPort: 8090, containerPort: 80, count: 1 },
  ])
  const apart = [port('0.0.0.0', 8080, 80), port('::', 8081, 80), port('127.0.0.1', 8081, 81)]
  t.same(joined(apart), apart)
})

t.test('what dockerd publishes is found in its list, by the name of the container', async t => {
  const id = longId('4f2a')
  const listed = [
    {
      Id: id,
      Names: ['/web'],
      Ports: [
        { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
        { IP: '::', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
        { PrivatePort: 443, Type: 'tcp' },
        { IP: '127.0.0.1', PrivatePort: 53, PublicPort: 53, Type: 'udp' },
      ],
    },
    { Id: longId('4f2b'), Names: ['/quiet'], Ports: [] },
  ]
  const path = await fakeEngine(
    t,
    answering({ '/containers/json': listed, [`/containers/${id}/json`]: { State: { Pid: process.pid } } }),
  )
  t.match(await listDockerPorts(engine('docker', path)), [
    { name: 'web', id, protocol: 'udp', hostIp: '127.0.0.1', hostPort: 53, containerPort: 53 },
    { name: 'web', id, protocol: 'tcp', hostIp: undefined, hostPort: 8080, containerPort: 80 },
  ])
  await t.rejects(listDockerPorts(engine('docker', '/nowhere.sock')), { code: 'missing' })
})
