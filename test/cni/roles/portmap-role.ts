/** The drop-in plugin portmap as a caller sees it, as far as no kernel is needed: without ports. */

import t from 'tap'
import { versions } from '../../../src/runtime/cni-versions.ts'
import { callPlugin } from '../../support/cni-call.ts'

const previous = (version: string): Record<string, unknown> =>
  version < '0.3.0'
    ? {
        cniVersion: version,
        ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0' }] },
        ip6: { ip: '2001:db8::2/64' },
      }
    : {
        cniVersion: version,
        interfaces: [
          { name: 'cni0', mac: '02:00:00:00:00:01' },
          { name: 'eth0', sandbox: '/run/netns/web-1' },
        ],
        ips: [
          {
            ...(version < '1.0.0' && { version: '4' }),
            interface: 1,
            address: '10.0.0.2/24',
            gateway: '10.0.0.1',
          },
          { ...(version < '1.0.0' && { version: '6' }), interface: 1, address: '2001:db8::2/64' },
        ],
        routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }],
        dns: { nameservers: ['10.0.0.1'] },
      }

const call = (config: object, env = {}) =>
  callPlugin({ calledAs: 'portmap', env, stdin: { name: 'front', type: 'portmap', ...config } })

for (const version of versions) {
  t.test(`cniVersion ${version}: without ports the result is passed on`, async t => {
    const config = { cniVersion: version, prevResult: previous(version) }
    t.strictSame((await call(config)).json, previous(version))
    t.strictSame((await call({ ...config, runtimeConfig: { portMappings: [] } })).json, previous(version))
    if (version >= '0.4.0') {
      t.match(await call(config, { CNI_COMMAND: 'CHECK' }), { exitCode: 0, stdout: '' })
    }
  })
}

t.test('what is wrong is said before anything is touched', async t => {
  const ports = { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80 }] } }
  const cniVersion = '1.0.0'
  const wrong: [config: object, code: number, message: RegExp][] = [
    [{ cniVersion }, 7, /prevResult is missing: portmap must be called as chained plugin/],
    [
      { cniVersion, prevResult: { ips: [{ address: '10.0.0.2/24', interface: 1 }] } },
      7,
      /interface: 1 is no index of an interface/,
    ],
    [
      {
        cniVersion,
        ...ports,
        prevResult: { interfaces: [{ name: 'cni0' }], ips: [{ address: '10.0.0.1/24', interface: 0 }] },
      },
      7,
      /prevResult: .* has no address of eth0 in a sandbox/,
    ],
    [{ cniVersion, prevResult: previous('1.0.0'), backend: 'firewalld' }, 2, /backend: "firewalld"/],
    [
      { cniVersion, prevResult: previous('1.0.0'), markMasqBit: 1, externalSetMarkChain: 'X' },
      2,
      /markMasqBit: 1 and externalSetMarkChain/,
    ],
  ]
  for (const [config, code, message] of wrong) {
    t.match(await call(config), { exitCode: 1, json: { code, msg: message } })
  }
})
