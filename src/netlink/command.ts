/**
 * The command line that would do the same as a request, fit to be pasted into a shell.
 */

type Word = string | number

/** Left out: undefined and false. A list stands for its words, left out when one of them is undefined. */
export type Part = Word | undefined | false | readonly (Word | undefined)[]

const quote = (word: Word): string => {
  const text = String(word)
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/**
 * `command('ip link set dev', 'web', ['mtu', 1500], up && 'up')` → `ip link set dev web mtu 1500 up`. Before a
 * name stands the keyword that could be left out, or a link called `br` or `up` would be taken for one.
 * @param base is taken as it is; every part is quoted where a shell would read more than a word
 */
export function command(base: string, ...parts: readonly Part[]): string {
  const words = parts.flatMap((part): readonly Word[] => {
    if (part === undefined || part === false) return []
    if (typeof part !== 'object') return [part]
    return part.every(word => word !== undefined) ? part : []
  })
  return [base, ...words.map(quote)].join(' ')
}

/** A namespace that this process holds open, for other processes while it does. */
export const netnsWord = (fd: number | undefined): string | undefined =>
  fd === undefined ? undefined : `/proc/${process.pid}/fd/${fd}`

/** `['hairpin', 'on']` as tc and ip spell switches. */
export const onOff = (name: string, value: boolean | undefined): Part =>
  value === undefined ? undefined : [name, value ? 'on' : 'off']

/** Where ip's word is not ours in another spelling. */
const spelling: Record<string, string> = {
  groupForwardMask: 'group_fwd_mask',
  multicastSnooping: 'mcast_snooping',
  netfilterCallIptables: 'nf_call_iptables',
  netfilterCallIp6tables: 'nf_call_ip6tables',
  netfilterCallArptables: 'nf_call_arptables',
  fastLeave: 'fastleave',
  unicastFlood: 'flood',
  multicastFlood: 'mcast_flood',
  broadcastFlood: 'bcast_flood',
  neighbourSuppress: 'neigh_suppress',
}

/** Settings of a table as ip spells them: `vlan_filtering 1`, `hairpin on`. */
export function settings(values: object | undefined, yes: Word, no: Word): Part[] {
  return Object.entries(values ?? {}).map(([name, value]): Part => {
    if (value === undefined) return undefined
    const word = spelling[name] ?? name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
    return [word, typeof value === 'boolean' ? (value ? yes : no) : String(value)]
  })
}
