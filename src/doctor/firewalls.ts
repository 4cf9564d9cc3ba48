/** Whose a rule is, by how its owner names chains and tables, and how that one is told to let containers through. */

interface Firewall {
  /** In an obstacle's words (foreign/describe.ts). */
  fits: RegExp
  cure: (bridge: string) => string
}

const FIREWALLS: readonly Firewall[] = [
  {
    fits: /nft table bridge/,
    cure: bridge =>
      `let it through in that very chain, before that rule: nft insert rule bridge TABLE CHAIN obrname "${bridge}" accept, and ibrname likewise; or take the rule out (ebtables -L, nft -a list table bridge TABLE)`,
  },
  {
    fits: /nft table netdev/,
    cure: () =>
      'take the rule out (nft -a list table netdev TABLE), or accept what is meant before it: such chains see a packet before, or after, all others',
  },
  {
    fits: /chain "?ufw6?-|ufw-/,
    cure: bridge =>
      `ufw route allow out on ${bridge} (and: ufw route allow in on ${bridge}); ufw allow PORT for the proxy`,
  },
  {
    fits: /nft table inet firewalld/,
    cure: bridge =>
      `firewall-cmd --permanent --zone=trusted --add-interface=${bridge}, and firewall-cmd --reload; firewall-cmd --add-port=PORT/tcp for the proxy`,
  },
  {
    fits: /chain DOCKER/,
    cure: bridge => `iptables -I DOCKER-USER -o ${bridge} -j ACCEPT, and ip6tables likewise`,
  },
  {
    fits: /chain (KUBE|cali|CILIUM)/,
    cure: () => 'a network policy of Kubernetes says so: let it through there',
  },
  {
    fits: /netavark|NETAVARK/,
    cure: () => 'podman (netavark) isolates its networks: make the network without --opt isolate',
  },
  {
    fits: /chain INPUT/,
    cure: () => 'let the port in before that rule: iptables -I INPUT -p tcp --dport PORT -j ACCEPT',
  },
  {
    fits: /iptables(-legacy)? table|ip6tables/,
    cure: bridge =>
      `let it through before that rule, with the same command: -I FORWARD -o ${bridge} -j ACCEPT, and -I FORWARD -i ${bridge} -j ACCEPT`,
  },
]

/** @param obstacle as a sentence */
export function cureFor(obstacle: string, bridge: string): string {
  const known = FIREWALLS.find(({ fits }) => fits.test(obstacle))
  if (known !== undefined) return known.cure(bridge)
  return `let it through in that very chain, before that rule: nft insert rule FAMILY TABLE CHAIN oifname "${bridge}" accept, and iifname likewise`
}
