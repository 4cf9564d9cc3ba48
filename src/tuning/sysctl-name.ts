/**
 * Which files below /proc/sys/net a sysctl key of a configuration may mean: `net.ipv4.conf.IFNAME.arp_filter`.
 *
 * Two readings are in use. The reference's makes every dot a slash; sysctl(8) takes the first separator for
 * the separator and has the other one stand for itself, so that `net/ipv4/conf/eth0.100/forwarding` and
 * `net.ipv4.conf.eth0/100.forwarding` name a VLAN's interface. The first that the kernel has is meant.
 * IFNAME stands for the container's interface, whose own dots stay dots in both.
 */

import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'

/** What the kernel has in names there, beside the names of interfaces. */
const PART = /^[A-Za-z0-9_.:+@-]+$/

/**
 * Names for netns/sysctl.ts, in the order they are to be tried; never outside of `net/`.
 * @throws TsnetError `invalid-config`
 */
export function sysctlNames(key: string, ifname: string): string[] {
  const named = (text: string) => text.replace('IFNAME', () => ifname)
  const forms = [named(key.replaceAll('.', '/')), named(asSysctl8(key))]
  const names = forms.map(checkedName).filter(name => name !== undefined)
  if (names.length > 0 && !key.includes('..')) return [...new Set(names)]
  throw new TsnetError(
    'invalid-config',
    `invalid net sysctl key: ${shown(key)}; it must name a setting below net, such as "net.ipv4.conf.IFNAME.arp_filter"`,
  )
}

/** As sysctl(8) reads a key: the first separator decides. */
function asSysctl8(key: string): string {
  const swapped = { '.': '/', '/': '.' }
  const dotted = /^[^./]*\./.test(key)
  return dotted ? key.replace(/[./]/g, each => swapped[each as '.' | '/']) : key
}

function checkedName(path: string): string | undefined {
  const parts = path.split('/').filter(part => part !== '')
  const fine = parts.every(part => PART.test(part) && part !== '.' && part !== '..')
  return fine && parts.length > 1 && parts[0] === 'net' ? parts.join('/') : undefined
}
