/** What a list answered, as netavark's `StatusBlock`, out of which podman writes resolv.conf and what it inspects. */

import { readPrevious } from '../cni/config/previous.ts'
import { tryParseIp } from '../model/address/address.ts'
import { Json } from '../model/json/json.ts'
import { present } from '../model/present.ts'
import type { RawResult } from '../networks/result.ts'

export interface StatusBlock {
  dns_search_domains: string[]
  dns_server_ips: string[]
  interfaces: Record<string, { mac_address: string; subnets: { ipnet: string; gateway?: string }[] }>
}

/** @param result of the list @param ifname in the container @throws TsnetError for what is no result */
export function statusOf(result: RawResult, ifname: string): StatusBlock {
  const { interfaces = [], ips = [], dns } = readPrevious(new Json({ prevResult: result }, '')) ?? {}
  const mac = interfaces.find(({ name, sandbox }) => name === ifname && sandbox !== undefined)?.mac
  return {
    dns_search_domains: [...(dns?.search ?? [])],
    // netavark takes addresses alone.
    dns_server_ips: (dns?.nameservers ?? []).flatMap(each => tryParseIp(each) ?? []),
    interfaces: {
      [ifname]: {
        mac_address: mac ?? '',
        subnets: ips.map(({ address, gateway }) => present({ ipnet: address, gateway })),
      },
    },
  }
}
