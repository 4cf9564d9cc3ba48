/** What container runtimes say and leave on disk. */

import { equal, ok } from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { runOciHook } from '../../../../src/chain/oci-hook.ts'
import { readPluginResult } from '../../../../src/ipam/plugin-result.ts'
import { parseResolvConf } from '../../../../src/ipam/resolv-conf.ts'
import { parseLease } from '../../../../src/ipam/store.ts'
import { parseCidr } from '../../../../src/model/address/address.ts'
import { TsnetError } from '../../../../src/model/errors.ts'
import { parseInterfaceName } from '../../../../src/model/interface-name.ts'
import { parseJson } from '../../../../src/model/json/json.ts'
import { readContainer, readNetwork } from '../../../../src/netavark/request.ts'
import { type CachedAttachment, listCached } from '../../../../src/networks/cache.ts'
import { parseNetworkList } from '../../../../src/runtime/conflist.ts'
import { type ContainerdConfig, readContainerdConfig } from '../../../../src/runtime/containerd-config.ts'
import { listDockerPorts } from '../../../../src/runtime/docker-ports.ts'
import type { Found } from '../../../../src/runtime/found.ts'
import { lxcSetting } from '../../../../src/runtime/lxc-config.ts'
import { type NetavarkNetwork, netavarkNetworks, subnetsIn } from '../../../../src/runtime/network-folders.ts'
import { listCniCache } from '../../../../src/runtime/sources/cni-cache.ts'
import { listContainerd } from '../../../../src/runtime/sources/containerd.ts'
import { engine } from '../../../../src/runtime/sources/engine.ts'
import { listOciStates } from '../../../../src/runtime/sources/oci-state.ts'
import { podman } from '../../../../src/runtime/sources/podman.ts'
import { readToml } from '../../../../src/runtime/toml.ts'
import { golden } from '../../netavark.ts'
import { documents, longDocuments, ofDocument } from '../documents.ts'
import { ownFolder, viaFile, FILE_WEIGHT as weight } from '../files.ts'
import { type Subject, subjects } from '../fuzz.ts'
import { outcomeLater } from '../promises.ts'
import { ofText } from '../texts.ts'

const refusals = [TsnetError]

const isPid = (pid: unknown): void =>
  ok(pid === undefined || (Number.isSafeInteger(pid) && Number(pid) >= 0), `pid ${pid}`)

function areFound(found: readonly Found[]): void {
  for (const { id, name, pid, aliases = [] } of found) {
    for (const text of [id, name, ...aliases]) equal(typeof text, 'string')
    isPid(pid)
  }
}

const RUNC = {
  init_process_pid: process.pid,
  init_process_start: 123,
  config: {
    labels: ['bundle=/x', 'io.kubernetes.cri.sandbox-name=web', 'io.kubernetes.cri.sandbox-id=4f2a'],
  },
}
const NETAVARK = {
  name: 'front',
  network_interface: 'podman1',
  subnets: [{ subnet: '10.89.0.0/24', gateway: '10.89.0.1' }, { subnet: 'fd00:1::/64' }],
}
const CRUN = { pid: process.pid, 'process-start-time': 5, bundle: '/nowhere' }
const OCI = {
  annotations: {
    'nerdctl/name': 'web',
    'io.kubernetes.cri-o.KubeName': 'web',
    'io.kubernetes.cri-o.SandboxID': '4f',
  },
}
const STORED = [
  { id: '4f2a', names: ['web'], metadata: '{"name":"web","pod-id":"x"}' },
  { id: '4f2b', names: ['db'], metadata: '{"name":"db"}' },
]
const CACHED = {
  kind: 'cniCacheV1',
  containerId: 'web',
  ifName: 'eth0',
  networkName: 'front',
  netns: '/run/netns/web',
  config: 'eyJuYW1lIjoiZnJvbnQifQ==',
  cniArgs: [['IgnoreUnknown', '1']],
  capabilityArgs: { portMappings: [{ hostPort: 80 }] },
  result: { cniVersion: '1.0.0', ips: [{ address: '10.0.0.2/24' }] },
}
const SUMMARY = {
  Id: '4f2a',
  Names: ['/web', '/other/alias'],
  Ports: [
    { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
    { PrivatePort: 1, Type: 'udp' },
  ],
}
const RESULT = {
  cniVersion: '1.1.0',
  ips: [{ address: '10.1.0.2/16', gateway: '10.1.0.1', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1400, table: 254 }],
  dns: { nameservers: ['10.1.0.1'], domain: 'a', search: ['b'], options: ['c'] },
  ip4: { ip: '10.1.0.2/16', gateway: '10.1.0.1', routes: [] },
}
const LIST = {
  cniVersion: '1.0.0',
  cniVersions: ['1.0.0', '1.1.0'],
  name: 'front',
  plugins: [{ type: 'tsnet', capabilities: { portMappings: true }, ipam: { type: 'host-local' } }],
}
const STATE = {
  ociVersion: '1.0.2',
  id: 'web',
  status: 'creating',
  pid: 812,
  bundle: '/nowhere',
  annotations: { 'io.tsnet.networks': 'front, back:net1', 'io.tsnet.ports': '8080:80' },
}

/** A runtime's API that says always what it is told to. */
class Api {
  readonly socket = join(ownFolder(), 'api.sock')
  #text = ''
  #server: Promise<Server> | undefined

  async saying<T>(text: string, ask: (socket: string) => Promise<T>): Promise<T> {
    this.#text = text
    this.#server ??= new Promise(resolve => {
      const server = createServer((_, response) => response.end(this.#text))
      server.unref()
      server.listen(this.socket, () => resolve(server))
    })
    await this.#server
    return ask(this.socket)
  }
}

/** Made at first use. */
let api: Api | undefined
const asking = async (text: string, ask: (socket: string) => Promise<unknown>) => {
  api ??= new Api()
  return api.saying(text, ask)
}

const engineApi: Subject<string> = {
  name: 'runtime/engine-api',
  weight: 0.05,
  inputs: documents([[SUMMARY], { State: { Pid: 812 } }]),
  long: length => longDocuments([[SUMMARY]], length).filter((_, i) => i % 4 === 0),
  async holds(text) {
    const found = await outcomeLater(() => asking(text, socket => engine('docker', socket).list()), refusals)
    if ('value' in found) areFound(found.value as Found[])
    await outcomeLater(() => asking(text, socket => listDockerPorts(engine('docker', socket))), refusals)
    const located = await outcomeLater(
      () =>
        asking(text, socket =>
          engine('docker', socket).locate({ runtime: 'docker', id: '4f2a', name: 'web' }),
        ),
      refusals,
    )
    if ('value' in located) isPid((located.value as Found).pid)
  },
}

const podmanStorage: Subject<string> = {
  name: 'runtime/podman-storage',
  weight: 0.1,
  inputs: documents([STORED]),
  long: length => longDocuments([STORED], length).filter((_, i) => i % 4 === 0),
  async holds(text) {
    storage ??= viaFile('overlay-containers/containers.json', async (_, folder) =>
      podman('/nowhere.sock', folder, []).list(),
    )
    const found = await outcomeLater(async () => storage?.(text), refusals)
    if ('value' in found && found.value !== undefined) areFound(found.value)
  },
}
let storage: ((text: string) => Promise<Found[]>) | undefined

const hook: Subject<string> = {
  name: 'chain/oci-hook',
  weight: 0.2,
  inputs: documents([STATE, { ...STATE, annotations: {} }]),
  long: length => longDocuments([STATE], length),
  async holds(text) {
    await outcomeLater(async () => {
      const state = parseJson(text)
      // What leaves looks for what is written down on this host.
      if (JSON.stringify(state.value).includes('stopped')) return
      await runOciHook(state, { confDir: '/nowhere', path: [], cache: '/nowhere', env: {} })
    }, refusals)
  },
}

const CONTAINERD =
  'version = 2\nimports = ["/etc/containerd/conf.d/*.toml", "x?.toml"]\nstate = "/run/containerd"\n[grpc]\n  address = "/run/containerd/containerd.sock"\n[plugins."io.containerd.grpc.v1.cri".cni]\n  bin_dir = "/opt/cni/bin"\n  bin_dirs = ["/a", "/b"]\n'

export const ofRuntimes = subjects(
  ofDocument('runtime/oci-state', {
    samples: [RUNC, CRUN],
    refusals,
    weight,
    read: viaFile('oci/web/state.json', (_, folder) => listOciStates(join(folder, 'oci'))),
    check: areFound,
  }),
  ofDocument('runtime/crun-status', {
    samples: [CRUN],
    refusals,
    weight,
    read: viaFile('crun/web/status', (_, folder) => listOciStates(join(folder, 'crun'))),
    check: areFound,
  }),
  ofDocument('runtime/containerd-bundle', {
    samples: [OCI],
    refusals,
    weight,
    read: viaFile('io.containerd.runtime.v2.task/default/web/config.json', (_, folder) =>
      listContainerd([folder], '/nowhere'),
    ),
    check: areFound,
  }),
  ofText('runtime/containerd-pid', {
    samples: ['812', String(process.pid)],
    refusals,
    weight,
    read: viaFile('io.containerd.runtime.v2.task/default/web/init.pid', (_, folder) =>
      listContainerd([folder], '/nowhere'),
    ),
    check: areFound,
  }),
  ofDocument('runtime/cni-cache', {
    samples: [CACHED],
    refusals,
    weight,
    read: viaFile('front-web-eth0', (_, folder) => listCniCache(folder)),
    check: areFound,
  }),
  ofDocument('chain/cni-cache', {
    samples: [CACHED],
    refusals,
    weight,
    read: viaFile('front-web-eth0', (_, folder) => listCached(folder)),
    check: (all: CachedAttachment[]) => {
      for (const { netns, args, capabilities, list, result } of all) {
        for (const text of [netns, list]) equal(typeof text, 'string')
        for (const pair of args) ok(Array.isArray(pair) && pair.every(word => typeof word === 'string'))
        for (const object of [capabilities, result])
          ok(typeof object === 'object' && object !== null && !Array.isArray(object))
      }
    },
  }),
  ofText('runtime/containerd-config', {
    samples: [CONTAINERD],
    tokens: [
      '[',
      ']',
      '[[',
      '"""',
      "'''",
      '=',
      '{',
      '\n',
      'imports = ["',
      '*',
      '1979-05-27T07:32:00Z',
      'inf',
      'a.b.c',
    ],
    refusals,
    weight,
    read: viaFile('etc/containerd/config.toml', (_, folder) => readContainerdConfig(folder)),
    check: ({ state = '', address = '', pluginFolders }: ContainerdConfig) => {
      for (const text of [state, address, ...pluginFolders]) equal(typeof text, 'string')
    },
  }),
  ofText('runtime/toml', {
    samples: [CONTAINERD, 'a = [1, 2.5, true]\nb = { c = "d" }\n"__proto__" = 1\n'],
    tokens: ['[[a]]', '__proto__.x = 1\n', '[constructor.prototype]\n', '\\u0000', '\\ud800', '# \n'],
    refusals,
    weight,
    read: viaFile('some.toml', readToml),
  }),
  ofText('runtime/lxc-config', {
    samples: ['# comment\nlxc.lxcpath = /var/lib/lxc/\nlxc.other=1\n'],
    tokens: ['lxc.lxcpath', '=', '/', '#', '\n'],
    refusals,
    weight,
    read: viaFile('lxc.conf', path => lxcSetting(path, 'lxc.lxcpath')),
  }),
  ofText('ipam/resolv-conf', {
    samples: ['nameserver 10.0.0.1\nsearch a b\noptions ndots:2\ndomain x\n# comment\n'],
    tokens: ['nameserver ', 'search', 'options', 'domain', '\n', '\t', ';'],
    refusals,
    read: parseResolvConf,
    check: dns => {
      for (const word of [...dns.nameservers, ...dns.search, ...dns.options]) ok(/^\S+$/.test(word))
    },
  }),
  ofText('ipam/lease', {
    samples: ['web-1\r\neth0', 'web-1\neth0\n', 'web-1'],
    tokens: ['\r\n', 'eth0'],
    refusals,
    read: parseLease,
    check: lease => ok(lease === 'garbage' || lease.containerId !== ''),
  }),
  ofDocument('ipam/plugin-result', {
    samples: [RESULT],
    refusals,
    read: text => readPluginResult('x', text),
    check: ({ leases }) => ok(leases.length > 0),
  }),
  ofDocument('networks/conflist', {
    samples: [LIST, { name: 'one', type: 'tsnet' }],
    refusals,
    read: parseNetworkList,
    check: ({ name, plugins, text }) => {
      equal(typeof name, 'string')
      equal(
        parseNetworkList(text).plugins.length,
        plugins.length,
        'what is written down is read again as the same',
      )
    },
  }),
  ofDocument('networks/subnets', {
    samples: [LIST.plugins[0]?.ipam ?? {}, { type: 'whereabouts', range: '10.1.0.0/16' }],
    refusals,
    read: text => subnetsIn(parseJson(text, 'it').value),
    check: subnets => {
      for (const subnet of subnets) equal(parseCidr(subnet), subnet)
    },
  }),
  ofDocument('runtime/netavark', {
    samples: [NETAVARK],
    refusals,
    weight,
    read: viaFile('front.json', (_, folder) => netavarkNetworks(folder)),
    check: (networks: NetavarkNetwork[]) => {
      for (const { name, bridge = '', driver = '', id = '', subnets } of networks) {
        for (const text of [name, bridge, driver, id]) equal(typeof text, 'string')
        for (const subnet of subnets) equal(parseCidr(subnet), subnet)
      }
    },
  }),
  ofDocument('netavark/network', {
    samples: [golden('create'), golden('create-full'), golden('create-part')],
    refusals,
    read: text => readNetwork(parseJson(text)),
    check: ({ name, id, bridge = '', subnets, options }) => {
      for (const text of [name, id, bridge, ...Object.values(options)]) equal(typeof text, 'string')
      for (const { subnet } of subnets) equal(parseCidr(subnet), subnet)
    },
  }),
  ofDocument('netavark/container', {
    samples: [golden('setup')],
    refusals,
    read: text => readContainer(parseJson(text)),
    check: ({ ports, ifname }) => {
      equal(parseInterfaceName(ifname, 'ifname'), ifname)
      for (const { hostPort, containerPort, count } of ports)
        ok(count > 0 && Math.max(hostPort, containerPort) + count - 1 <= 65_535)
    },
  }),
  hook,
  engineApi,
  podmanStorage,
)
