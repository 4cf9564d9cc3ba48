/**
 * What holds where an option is not given, what it may be given, and what words are. Nothing of this is parsed by: who
 * reads an option does that, with an error that says more.
 */

/** What shells may ask of this host for a word: see words.ts. */
export const WORD_KINDS = ['networks', 'containers', 'attached', 'published', 'ports', 'subjects'] as const

export type WordKind = (typeof WORD_KINDS)[number]

interface Values {
  /** By the long flag: what holds without it, in words or as it would be written. */
  defaults?: Readonly<Record<string, string>>
  /** By the long flag: all that may stand there. */
  choices?: Readonly<Record<string, readonly string[]>>
  /** What its words are, by their place. */
  words?: readonly WordKind[]
  /** By the long flag: what its value is. */
  values?: Readonly<Record<string, WordKind>>
}

const CONF_DIR = { '--conf-dir': '/etc/cni/net.d' }
const LISTED = { '--filter': 'all' }

/** By the words of the command. */
export const VALUES: Readonly<Record<string, Values>> = {
  publish: {
    words: ['containers'],
    defaults: {
      '--network': 'any',
      '--mode': 'auto',
      '--via': 'auto',
      '--allow': 'all',
      '--deny': 'none',
      '--max-connections': 'no end',
      '--udp-sessions': '4096',
      '--udp-idle': '90s',
      '--expires': 'never',
      '--wait': '0s',
      '--drain': '0s',
    },
    choices: {
      '--mode': ['auto', 'nat', 'proxy', 'redirect'],
      '--via': ['auto', 'bridge', 'netns'],
      '--proxy-protocol': ['v1', 'v2'],
    },
  },
  ports: { defaults: LISTED },
  ps: { defaults: LISTED },
  unpublish: { words: ['published'] },
  doctor: { words: ['subjects'] },
  trace: { words: ['ports'] },
  resolve: {
    defaults: { '--network': 'all of them' },
    words: ['attached'],
    values: { '--network': 'networks' },
  },
  'egress learn': { defaults: { '--for': 'until it is ended' }, words: ['attached'] },
  'egress ls': { defaults: LISTED, words: ['attached'] },
  'egress set': {
    defaults: { ...CONF_DIR, '--network': 'the only one', '--interface': 'the only one' },
    words: ['attached'],
    values: { '--network': 'networks' },
  },
  events: { defaults: LISTED },
  top: { defaults: { '--interval': '2s' } },
  graph: { defaults: { '--port': 'any that is free', '--all': 'those that most is going on with' } },
  daemon: { defaults: { '--config': '/etc/tsnet/tsnetd.json', '--idle': 'never', '--metrics': 'as set' } },
  'network create': {
    defaults: {
      ...CONF_DIR,
      '--subnet': 'one that is free',
      '--gateway': "the subnet's first",
      '--ip-range': 'the subnet',
      '--isolate': 'where masqueraded',
      '--direct': 'without masquerade',
      '--interface-name': "of the network's",
      '--mtu': "the host's way out",
      '--ingress-rate': 'no limit',
      '--egress-rate': 'no limit',
      '--egress-address': 'that of the way out',
      '--egress': 'everybody',
    },
  },
  'network ls': { defaults: { ...CONF_DIR, ...LISTED } },
  'network inspect': { defaults: CONF_DIR, words: ['networks'] },
  'host ls': { defaults: LISTED },
  'host inspect': { defaults: { '--network': 'any' }, values: { '--network': 'networks' } },
  'host drain': { defaults: { '--network': 'any' }, values: { '--network': 'networks' } },
  'host forget': { defaults: { '--network': 'any' }, values: { '--network': 'networks' } },
  'network rm': { defaults: CONF_DIR, words: ['networks'] },
  inspect: {
    defaults: CONF_DIR,
    choices: { '--type': ['container', 'port', 'network'] },
    words: ['subjects'],
  },
  check: { defaults: CONF_DIR },
  gc: { defaults: CONF_DIR },
  attach: {
    words: ['networks', 'containers'],
    defaults: {
      ...CONF_DIR,
      '--ifname': 'the first free',
      '--ip': "any of the pool's",
      '--egress': "the network's",
    },
  },
  detach: { words: ['networks', 'attached'], defaults: { ...CONF_DIR, '--ifname': 'all' } },
  'oci-hook': { defaults: CONF_DIR },
  install: {
    defaults: {
      ...CONF_DIR,
      '--bin-dir': '/opt/cni/bin',
      '--prefix': '/usr/local',
      '--as': 'none',
      '--docker-config': '/etc/docker/daemon.json',
      '--init': 'auto',
      '--root': '/',
    },
    choices: { '--init': ['auto', 'systemd', 'openrc', 'sysv', 'none'] },
  },
  uninstall: { defaults: { '--root': '/' } },
}
