/** Files and variables that the manual pages tell of; docs/operations.md and docs/cli-reference.md have all of them. */

import type { Place } from '../../install/install.ts'

interface Told extends Place {
  /** The commands whose page tells of it, by their first word; absent: all. */
  by?: readonly string[]
}

const RUNNING = ['host', 'publish', 'unpublish', 'ports', 'daemon', 'reconcile', 'doctor', 'trace', 'inspect']
const LISTS = ['network', 'check', 'attach', 'detach', 'oci-hook', 'install', 'doctor', 'ps', 'inspect']

export const FILES: readonly Told[] = [
  {
    name: '/run/tsnet',
    means: 'what was done to this host: attachments, publications, claims of ports, locks',
  },
  { name: '/run/tsnet/control.sock', means: 'where the daemon is asked', by: RUNNING },
  {
    name: '/run/tsnet/daemon.log',
    means: 'what a daemon says that was started in the background',
    by: RUNNING,
  },
  { name: '/etc/tsnet/tsnetd.json', means: "the daemon's settings", by: [...RUNNING, 'network'] },
  { name: '/etc/cni/net.d', means: 'network lists, of tsnet and of others', by: LISTS },
  { name: '/var/lib/cni/networks', means: 'leases, as host-local keeps them', by: LISTS },
  {
    name: '/var/lib/cni/results',
    means: 'what was attached by hand, as libcni keeps it',
    by: ['attach', 'detach'],
  },
  { name: '/opt/cni/bin', means: 'plugins', by: ['attach', 'detach', 'oci-hook', 'check', 'install'] },
  {
    name: '/var/lib/tsnet/publications',
    means: 'what is published again after a reboot',
    by: ['publish', 'unpublish', 'ports', 'daemon'],
  },
  {
    name: '/var/lib/tsnet/hosts',
    means: 'who this host is in networks of many hosts, and its prefixes',
    by: ['host', 'daemon', 'attach'],
  },
  { name: '/var/lib/tsnet/install.json', means: 'what was installed', by: ['install', 'uninstall'] },
]

const NAMING = ['publish', 'unpublish', 'attach', 'detach', 'doctor', 'daemon', 'ports']

export const ENVIRONMENT: readonly Told[] = [
  { name: 'TSNET_RUN_DIR', means: 'in place of /run/tsnet' },
  { name: 'TSNET_NAT', means: 'iptables or nftables; else what the host has' },
  { name: 'TSNET_DAEMON', means: 'off: no daemon is asked; running: none is started' },
  { name: 'NO_COLOR', means: 'not empty: no colours' },
  { name: 'CNI_PATH', means: 'folders of plugins', by: ['attach', 'detach', 'oci-hook', 'check'] },
  { name: 'NETCONFPATH', means: 'where network lists are, without --conf-dir', by: LISTS },
  { name: 'DOCKER_HOST', means: "Docker's socket", by: NAMING },
  { name: 'CONTAINER_HOST', means: "podman's socket", by: NAMING },
  {
    name: 'CONTAINERS_STORAGE_CONF',
    means: 'where podman and CRI-O say where their containers are',
    by: NAMING,
  },
  { name: 'CONTAINERD_ADDRESS', means: "containerd's socket", by: NAMING },
]

/** Those that a command's page tells of. @param words of the command */
export const placesOf = (places: readonly Told[], words: string): Place[] =>
  places
    .filter(({ by }) => by === undefined || by.includes(words.split(' ')[0] ?? ''))
    .map(({ name, means }) => ({ name, means }))
