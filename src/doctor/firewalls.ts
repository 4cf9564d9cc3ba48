/** Whose a rule is, by how its owner names chains and tables, and how that one is told to let something through. */

/** What comes to this host itself: to the proxy, or to a name server. */
export interface ToHost {
  protocol: string
  port: number
  /** The bridge of those who send it; absent: anybody. */
  from?: string
}

interface Firewall {
  /** In an obstacle's words (foreign/describe.ts). */
  fits: RegExp
  /** For what is forwarded to containers of a bridge, and from there. */
  forward: (bridge: string) => string
  /** For what comes to this host; absent: as for what is forwarded. */
  host?: (to: ToHost, obstacle: string) => string
}

const trusted = (bridge: string): string =>
  `firewall-cmd --permanent --zone=trusted --add-interface=${bridge}, and firewall-cmd --reload`

/** Where an obstacle is; names of others may be anything, and what we say is meant to be typed. */
const NFT = /nft table (inet|ip6?) ([\w-]+), chain ([\w-]+)[,:]/
const IPTABLES = /(ip6?tables(?:-legacy)?) table (\w+), chain ([\w-]+)[,:]/

const FIREWALLS: readonly Firewall[] = [
  {
    fits: /nft table bridge/,
    forward: bridge =>
      `let it through in that very chain, before that rule: nft insert rule bridge TABLE CHAIN obrname "${bridge}" accept, and ibrname likewise; or take the rule out (ebtables -L, nft -a list table bridge TABLE)`,
  },
  {
    fits: /nft table netdev/,
    forward: () =>
      'take the rule out (nft -a list table netdev TABLE), or accept what is meant before it: such chains see a packet before, or after, all others',
  },
  {
    fits: /chain "?ufw6?-|ufw-/,
    forward: bridge => `ufw route allow out on ${bridge} (and: ufw route allow in on ${bridge})`,
    host: ({ protocol, port, from }) =>
      from === undefined
        ? `ufw allow ${port}/${protocol}`
        : `ufw allow in on ${from} to any port ${port} proto ${protocol}`,
  },
  {
    fits: /nft table inet firewalld/,
    forward: trusted,
    host: ({ protocol, port, from }) =>
      from === undefined
        ? `firewall-cmd --permanent --add-port=${port}/${protocol}, and firewall-cmd --reload`
        : trusted(from),
  },
  {
    fits: /chain DOCKER/,
    forward: bridge => `iptables -I DOCKER-USER -o ${bridge} -j ACCEPT, and ip6tables likewise`,
  },
  {
    fits: /chain (KUBE|cali|CILIUM)/,
    forward: () => 'a network policy of Kubernetes says so: let it through there',
  },
  {
    fits: /netavark|NETAVARK/,
    forward: () => 'podman (netavark) isolates its networks: make the network without --opt isolate',
  },
  {
    fits: /iptables(-legacy)? table|ip6tables/,
    forward: bridge =>
      `let it through before that rule, with the same command: -I FORWARD -o ${bridge} -j ACCEPT, and -I FORWARD -i ${bridge} -j ACCEPT`,
    host: ({ protocol, port, from }, obstacle) => {
      const [, command = 'iptables', table = 'filter', chain = 'INPUT'] = IPTABLES.exec(obstacle) ?? []
      const where = `${table === 'filter' ? '' : `-t ${table} `}-I ${chain}${from === undefined ? '' : ` -i ${from}`}`
      return `let it in before that rule: ${command} ${where} -p ${protocol} --dport ${port} -j ACCEPT`
    },
  },
]

/** @param obstacle as a sentence */
export function cureFor(obstacle: string, bridge: string): string {
  const known = FIREWALLS.find(({ fits }) => fits.test(obstacle))
  if (known !== undefined) return known.forward(bridge)
  return `let it through in that very chain, before that rule: nft insert rule FAMILY TABLE CHAIN oifname "${bridge}" accept, and iifname likewise`
}

/** As cureFor, of what comes to this host itself. */
export function cureForHost(obstacle: string, to: ToHost): string {
  const known = FIREWALLS.find(({ fits }) => fits.test(obstacle))
  if (known?.host !== undefined) return known.host(to, obstacle)
  if (known !== undefined) return known.forward(to.from ?? 'BRIDGE')
  const [, family = 'FAMILY', table = 'TABLE', chain = 'CHAIN'] = NFT.exec(obstacle) ?? []
  const from = to.from === undefined ? '' : `iifname "${to.from}" `
  const rule = `nft insert rule ${family} ${table} ${chain} ${from}${to.protocol} dport ${to.port} accept`
  return `let it in, in that very chain and before that rule (an accept in another one does not help): ${rule}`
}
