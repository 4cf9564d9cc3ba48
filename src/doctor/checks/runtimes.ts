/**
 * What runtimes are told in their own files: settings that take ports or networks from them.
 *
 * Source: dockerd(8), daemon.json; containers.conf(5), `[network]`; containerd-config.toml(5), `[plugins … cni]`.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DRIVER, JOINS, type NetworkInfo } from '../../networks/networks.ts'
import { readContainerdConfig, runningContainerds } from '../../runtime/containerd-config.ts'
import { readJson, readText } from '../../runtime/files.ts'
import {
  driverFolders,
  netavarkNetworks,
  networkFolders,
  podmanSetting,
  podmanSettings,
} from '../../runtime/network-folders.ts'
import type { Check, Found } from '../fault.ts'
import type { Patient } from '../patient.ts'

const DOCKER = '/etc/docker/daemon.json'

export const docker: Check<Patient> = {
  name: 'docker',
  about: "dockerd's settings leave its ports to be reached",
  look: ({ subject }) => (subject.kind === 'network' ? [] : lookAtDocker()),
}

function lookAtDocker(): Found[] {
  const on = DOCKER
  if (readText(DOCKER) === undefined) return []
  const settings = readJson(DOCKER)
  if (settings === undefined)
    return [
      {
        on,
        what: 'it is no JSON object',
        why: 'dockerd does not start',
        cure: `mend the file: dockerd --validate --config-file ${DOCKER}`,
      },
    ]
  const path = settings['userland-proxy-path']
  const found: Found[] = []
  if (settings.iptables === false)
    found.push({
      on,
      what: '"iptables" is false',
      why: 'published ports of Docker lead nowhere but over its proxy, and its containers do not reach the world',
      cure: 'take the key out and restart dockerd',
    })
  if (settings['userland-proxy'] === false)
    found.push({
      on,
      what: '"userland-proxy" is false',
      why: 'clients on 127.0.0.1 depend on route_localnet, those on [::1] are refused, and no docker-proxy (ours neither) is started',
      cure: 'take the key out and restart dockerd',
    })
  if (typeof path === 'string' && !existsSync(path))
    found.push({
      on,
      what: `"userland-proxy-path" is ${path}, where there is nothing`,
      why: 'no container with a published port starts',
      cure: 'tsnet install --docker, or take the key out; then restart dockerd',
    })
  return found
}

export const podman: Check<Patient> = {
  name: 'podman',
  about: 'podman sees the networks of this host, and finds their plugins and the driver tsnet',
  look: patient => [
    ...(patient.networks.length === 0 ? [] : lookAtLists(patient)),
    ...lookAtDriver(patient.networks.map(({ name }) => name)),
  ],
}

const hasDriver = (): boolean => driverFolders().some(folder => existsSync(join(folder, DRIVER)))

/** Networks that any runtime can name. */
function lookAtLists({ networks, host }: Patient): Found[] {
  const [backend, file] = podmanSetting('network', 'network_backend') ?? []
  const folders = podmanSettings('network', 'cni_plugin_dirs')
  const types = new Set(networks.flatMap(({ plugins }) => plugins))
  const missing = [...types].find(type => !folders.some(folder => existsSync(join(folder, type))))
  return [
    ...(backend === 'netavark' && !hasDriver()
      ? [
          {
            on: file ?? CONTAINERS_CONF,
            what: 'podman\'s network_backend is "netavark"',
            why: `it does not see networks of ${host.confDir}, such as ${networks[0]?.name}`,
            cure: 'podman 4: network_backend = "cni"; from 5 on: tsnet install, and podman network create -d tsnet -o tsnet.network=NETWORK NAME; any: run the container with --network none, and tsnet attach NETWORK podman:NAME',
          },
        ]
      : []),
    ...(folders.length > 0 && missing !== undefined
      ? [
          {
            on: CONTAINERS_CONF,
            what: `plugin ${missing} is in none of podman's cni_plugin_dirs (${folders.join(', ')})`,
            why: 'podman starts no container on networks that name it',
            cure: `add the folder that has it (${host.path.find(each => existsSync(join(each, missing))) ?? 'see tsnet install'}) to cni_plugin_dirs`,
          },
        ]
      : []),
  ]
}

const CONTAINERS_CONF = 'containers.conf'

/** Networks of podman's own that are ours. @param lists names of those that are there */
function lookAtDriver(lists: readonly string[]): Found[] {
  const ours = networkFolders()
    .flatMap(netavarkNetworks)
    .filter(({ driver }) => driver === DRIVER)
  const [one] = ours
  const lost = ours.filter(({ options }) => {
    const { [JOINS]: joins } = options
    return typeof joins === 'string' && !lists.includes(joins)
  })
  return [
    ...(one !== undefined && !hasDriver()
      ? [
          {
            on: CONTAINERS_CONF,
            what: `the driver ${DRIVER} is in none of podman's netavark_plugin_dirs (${driverFolders().join(', ')})`,
            why: `podman starts no container on its networks of this driver, such as ${one.name}`,
            cure: 'tsnet install puts it there',
          },
        ]
      : []),
    ...lost.map(({ name, options }) => ({
      on: `podman's network ${name}`,
      what: `it joins network ${options[JOINS]}, which is not there`,
      why: 'podman starts no container on it',
      cure: `tsnet network create ${options[JOINS]}, or podman network rm ${name}`,
    })),
  ]
}

export const containerd: Check<Patient> = {
  name: 'containerd',
  about: 'a containerd that runs finds the plugins of networks where it looks',
  look: ({ networks }) => runningContainerds().flatMap(file => lookAtContainerd(file, networks)),
}

/** One that does not run starts no pods, whatever its package has put into /etc. */
function lookAtContainerd(file: string, networks: readonly NetworkInfo[]): Found[] {
  const { pluginFolders, hasPods } = readContainerdConfig('', file)
  if (pluginFolders.length === 0 || !hasPods) return []
  const types = [...new Set(networks.flatMap(({ plugins }) => plugins))]
  const missing = types.find(type => !pluginFolders.some(folder => existsSync(join(folder, type))))
  if (missing === undefined) return []
  return [
    {
      on: file,
      what: `plugin ${missing} is in none of its folders for pods (${pluginFolders.join(', ')})`,
      why: 'pods on networks that name it do not start',
      cure: `put the plugin there (tsnet install --bin-dir ${pluginFolders[0]}), or name its folder in bin_dirs`,
    },
  ]
}
